// Times as the reader's own clock shows them; without this script they stand in UTC.
"use strict";

{
  const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

  const tell = () => {
    for (const time of document.querySelectorAll("time[datetime*='T']:not([title])")) {
      time.title = time.textContent;
      time.textContent = clock.format(new Date(time.dateTime));
    }
  };

  tell();
  new MutationObserver(tell).observe(document.body, { childList: true, subtree: true }); // parts are exchanged
}
