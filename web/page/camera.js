// The camera's pictures, one at a time.

export class Camera {
  #video = null;
  #stream = null;
  #fresh = false;
  #canvas = null;

  async start() {
    this.stop();
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, srcObject: stream });
    [this.#stream, this.#video] = [stream, video];
    const look = () => {
      this.#fresh = true;
      video.requestVideoFrameCallback?.(look);
    };
    video.requestVideoFrameCallback?.(look);
    await video.play();
    this.#fresh = true;
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    [this.#stream, this.#video, this.#fresh] = [null, null, false];
  }

  /** Width, height and RGBA of the newest picture, once. */
  frame(side) {
    const video = this.#video;
    const counts = Boolean(video?.requestVideoFrameCallback);
    if (!video?.videoWidth || (counts && !this.#fresh)) {
      return undefined;
    }
    this.#fresh = false;
    const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.max(1, Math.round(video.videoWidth * scale));
    const height = Math.max(1, Math.round(video.videoHeight * scale));
    this.#canvas ??= new OffscreenCanvas(width, height);
    Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, 0, width, height);
    return [width, height, new Uint8Array(context.getImageData(0, 0, width, height).data.buffer)];
  }
}
