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
  dialog.addEventListener("close", () => { video.srcObject?.getTracks().forEach((track) => track.stop()); });

  async function open() {
    if (!navigator.mediaDevices?.getUserMedia) {
      shot.click();
      return;
    }
    trouble("");
    dialog.showModal();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      await video.play();
      if (!dialog.open) video.srcObject.getTracks().forEach((track) => track.stop());
    } catch (error) {
      trouble(error.name === "NotAllowedError" ? "The browser was not allowed to use the camera." : "There is no camera to be had.");
    }
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
