// Photos, frames of clips, and light on them.

const THUMBNAIL = 480; // pixels on the longer side of what is shown and kept

export async function drawPhoto(file, canvas) {
  const whole = await createImageBitmap(file);
  draw(whole, whole.width, whole.height, canvas);
  whole.close();
}

// The frame of a clip that is shown at a time, in seconds.
export async function drawClip(file, canvas, time = 0) {
  const video = document.createElement("video");
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      Object.assign(video, { muted: true, preload: "auto", src: url });
      video.onloadeddata = () => {
        if (!time) return resolve();
        video.onseeked = resolve;
        video.currentTime = time;
      };
      video.onerror = () => reject(new Error("no preview"));
      setTimeout(() => reject(new Error("no preview")), 5000);
    });
    draw(video, video.videoWidth, video.videoHeight, canvas);
  } finally {
    video.removeAttribute("src");
    URL.revokeObjectURL(url);
  }
}

function draw(picture, width, height, canvas) {
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
}

// Light, rows of columns from 0 to 1: where there is some, the picture keeps its colours.
export function drawLight(item, grid) {
  const canvas = item.card.querySelector(".map");
  const picture = item.card.querySelector(".picture");
  canvas.width = picture.width;
  canvas.height = picture.height;
  item.card.classList.toggle("lit", Boolean(grid));
  if (!grid) return;
  const small = new OffscreenCanvas(grid[0].length, grid.length);
  const cells = small.getContext("2d");
  grid.forEach((row, y) => row.forEach((light, x) => {
    cells.fillStyle = `rgb(0 0 0 / ${light})`;
    cells.fillRect(x, y, 1, 1);
  }));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-in";
  context.drawImage(picture, 0, 0);
}
