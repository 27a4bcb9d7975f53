// A picture from the camera: in the page where the browser allows it, else by the phone's own camera.
"use strict";

function offerCamera(take) {
  const dialog = document.getElementById("camera");
  const video = document.getElementById("viewfinder");
  const shot = document.getElementById("shot");
  shot.addEventListener("change", () => { take([...shot.files]); shot.value = ""; });
  document.getElementById("take").addEventListener("click", () => open());
  document.getElementById("shutter").addEventListener("click", shutter);
  document.getElementById("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => turnOff(video.srcObject));

  async function open() {
    if (!navigator.mediaDevices?.getUserMedia) {
      return shot.click();
    }
    trouble("");
    dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      if (!dialog.open) return turnOff(stream); // closed while the browser asked whether it may
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      if (!dialog.open) return undefined;
      trouble(error.name === "NotAllowedError" ? "The browser was not allowed to use the camera." : "There is no camera to be had.");
    }
    return undefined;
  }

  function turnOff(stream) {
    stream?.getTracks().forEach((track) => track.stop());
  }

  function shutter() {
    if (!video.videoWidth) return;
    const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      dialog.close();
      take([new File([blob], "camera.jpg", { type: "image/jpeg" })]);
    }, "image/jpeg", 0.92);
  }

  function trouble(message) {
    document.getElementById("camera-trouble").textContent = message;
  }
}
