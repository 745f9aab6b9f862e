// Frames of a video file, as far as the browser can play it.

/** Frames a second at most: the time between two is longer where a video has more of them than are taken. */
const RATE = 30;

/** What an element that plays does next, or why it can't. */
function next(video, event) {
  return new Promise((found, lost) => {
    const done = () => {
      video.removeEventListener(event, done);
      found(undefined);
    };
    video.addEventListener(event, done);
    video.onerror = () => lost(new Error('this browser can\'t play it: make an MP4 (H.264) or WebM (VP9) of it'));
  });
}

/** Milliseconds that a frame may take to be drawn after a video has got to it; the same frame again is not drawn once more. */
const DRAWN = 50;

/** Goes to a time, and waits for its frame. */
async function seek(video, time) {
  const sought = next(video, 'seeked');
  const drawn = new Promise((done) => {
    video.requestVideoFrameCallback?.(done);
  });
  video.currentTime = time;
  await sought;
  await Promise.race([drawn, new Promise((done) => {
    setTimeout(done, DRAWN);
  })]);
}

/** Seconds that it lasts. What a browser has recorded itself does not say so until one has been at its end. */
async function duration(video) {
  if (!Number.isFinite(video.duration)) {
    await seek(video, Number.MAX_SAFE_INTEGER);
  }
  return Number.isFinite(video.duration) ? video.duration : video.currentTime;
}

/**
 * Frames of a video, spread evenly over all of it, none of their sides longer than `side`.
 * @param {Blob} file
 * @param {number} side
 * @param {number} most
 * @returns {Promise<[number, number, number, number, Uint8Array]>} width and height of the video, of its frames, and the RGBA
 *   of one after another
 */
export async function videoFrames(file, side, most) {
  const address = URL.createObjectURL(file);
  const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, preload: 'auto' });
  try {
    const ready = next(video, 'loadeddata');
    video.src = address;
    await ready;
    const { videoWidth, videoHeight } = video;
    if (!videoWidth) {
      throw new Error('there is no picture in it');
    }
    const lasts = await duration(video);
    const count = Math.max(1, Math.min(most, Math.round(lasts * RATE)));
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((length) => Math.max(1, Math.round(length * scale)));
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    const all = new Uint8Array(count * width * height * 4);
    for (let frame = 0; frame < count; frame += 1) {
      // In the middle of its time, where no rounding leads to its neighbour.
      await seek(video, (frame + 0.5) / count * lasts);
      context.drawImage(video, 0, 0, width, height);
      all.set(context.getImageData(0, 0, width, height).data, frame * width * height * 4);
    }
    return [videoWidth, videoHeight, width, height, all];
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(address);
  }
}
