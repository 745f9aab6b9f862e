/** Where weights come from: an address, a file that was chosen or dropped, or their bytes. */
export type WeightsSource = string | URL | Blob | ArrayBuffer | ArrayBufferView;

/**
 * An image. Files (addresses, Blobs, bytes) are decoded as the command line does, so that numbers agree; what the
 * browser has decoded already is taken by its pixels.
 */
export type ImageSource =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | ImageData
  | HTMLImageElement
  | HTMLCanvasElement
  | HTMLVideoElement
  | ImageBitmap
  | OffscreenCanvas
  | VideoFrame;

/** How far a part of loading is. */
export interface Progress {
  /** The WebAssembly and the weights come; the model is opened; it looks for the first time, if `warmUp` asks for that. */
  stage: 'program' | 'weights' | 'model' | 'warm-up';
  /** Bytes that are here; of `model` and `warm-up` 0 at the beginning and 1 at the end. */
  loaded: number;
  /** Bytes in all, missing where the server does not say; 1 of `model` and `warm-up`. */
  total: number | undefined;
}

/** How to load a model. */
export interface LoadOptions {
  /**
   * Where to compute. `auto` (the default) takes the GPU if the browser offers a real one, else the CPU; `webgpu` takes
   * any GPU, software too, or fails; `cpu` is WebAssembly.
   */
  device?: 'auto' | 'webgpu' | 'cpu';
  /** Hears how far everything is. Program and weights come at the same time. */
  onProgress?: (progress: Progress) => void;
  /** Gives up loading. */
  signal?: AbortSignal;
  /** Looks once before `load` resolves, so that the first image needs no longer than others: a GPU compiles its programs. */
  warmUp?: boolean;
  /** Name of the weights for messages and `info.name`; by default that of the file. */
  name?: string;
  /** Attention heads of weights that do not say how many they have; with a wrong number features are wrong. */
  heads?: number;
  /** `false` computes on the page's own thread. By default in a worker, where the page may have one. */
  worker?: boolean;
  /** Address of `dinoscope_js_bg.wasm`, if it is not beside the package's scripts. */
  wasm?: string | URL;
}

/** What a model is. */
export interface ModelInfo {
  /** The file, or the name it was given. */
  readonly name: string;
  /** Side of a patch in pixels. */
  readonly patch: number;
  /** Numbers per token. */
  readonly dim: number;
  /** Blocks. */
  readonly depth: number;
  /** Attention heads of a block. */
  readonly heads: number;
  /** Channels of its pictures: 3 are colours; 1 takes them as grey, 4 with their opacity, others come as TIFF of several bands or pages, or as `.npy`. */
  readonly channels: number;
  /** Register tokens. */
  readonly registers: number;
  /** The feed-forward network of every block. */
  readonly ffn: 'mlp' | 'swiglu';
  /** Trainable values. */
  readonly parameters: number;
  /** Shorter side in pixels that images are resized to unless another is asked for. */
  readonly resolution: number;
  /** What a person may want to know: guesses made and tensors not used. */
  readonly notes: readonly string[];
}

/** Where a model computes. */
export interface DeviceInfo {
  /** Which kind of device. */
  readonly type: 'webgpu' | 'cpu';
  /** The adapter, as far as the browser tells, or the CPU. */
  readonly name: string;
  /** Why it is not the GPU, if one was wanted. */
  readonly reason?: string;
  /** Whether it works in a worker, so that the page stays responsive. */
  readonly worker: boolean;
}

/** How to look at an image. */
export interface LookOptions {
  /** Shorter side in pixels that the image is resized to, rounded to patches; the aspect is kept. */
  resolution?: number;
  /** Stops fetching and computing, at the next block or image; rejects at once with the signal's reason, an `AbortError`. */
  signal?: AbortSignal;
}

/** What a model sees in an image, after its final norm. */
export interface Features {
  /** The CLS token, `[dim]`. */
  cls: Float32Array;
  /** Patch tokens in reading order, `[rows * cols * dim]`. */
  patches: Float32Array;
  /** Patches from top to bottom. */
  rows: number;
  /** Patches from left to right. */
  cols: number;
  /** Numbers per token. */
  dim: number;
  /** `[rows, cols, dim]`: the shape of `patches`. */
  shape: [rows: number, cols: number, dim: number];
  /** Width of the image in pixels. */
  width: number;
  /** Height of the image in pixels. */
  height: number;
}

/** How to make colours of features. */
export interface PcaOptions extends LookOptions {
  /** Split objects from their background, which becomes black. Default: `false`. */
  foreground?: boolean;
  /** Size of the result: that of the image (default), one pixel a patch, or any. */
  size?: 'image' | 'patches' | { width: number; height: number };
  /** `false` draws each patch as a block of one colour. Default: `true`. */
  smooth?: boolean;
}

/** A patch: by its number in reading order, or by a place in the image's pixels. */
export type Place = { patch: number } | { x: number; y: number };

/** Whose attention to look at. */
export interface AttentionOptions extends LookOptions {
  /** The block, counted from 0. Default: the last. */
  block?: number;
  /** The CLS token (default), a patch by its number in reading order, or the patch at a place in the image's pixels. */
  query?: 'cls' | number | { x: number; y: number };
}

/** Where a token looks. */
export interface Attention {
  /** One map a head, `[rows * cols]`, each with sum 1. */
  heads: Float32Array[];
  /** The mean of all heads, `[rows * cols]`, with sum 1. */
  mean: Float32Array;
  /** Share of each head's attention that went to the CLS token and registers; no part of the maps. */
  elsewhere: Float32Array;
  /** Patches from top to bottom. */
  rows: number;
  /** Patches from left to right. */
  cols: number;
}

/** How to follow a place. */
export interface FollowOptions extends LookOptions {
  /** A best match less similar than this is none: the place is lost. From -1 to 1; default: 0.5. */
  threshold?: number;
  /** How far the place may go from one frame to the next, in patches. Default: a quarter of the shorter side. */
  radius?: number;
  /** Hears of each frame as it is done, counted from 0. */
  onFrame?: (found: Followed, frame: number) => void;
}

/** Where a place is in a frame. */
export interface Followed {
  /** Pixels from the left edge of the frame. */
  x: number;
  /** Pixels from its upper edge. */
  y: number;
  /** Cosine of the best patch with what is looked for. */
  similarity: number;
  /** Whether that is enough; where not, the place is where it was seen last. */
  seen: boolean;
}

/** What a model sees in an image, and its patch tokens as colours. */
export interface Seen {
  /** Colours: equal ones mean equal things in both models. */
  pca: ImageData;
  /** The tokens themselves, for `similarity` in either model. */
  features: Features;
}

/** Two models on the same images. */
export interface Compared {
  /**
   * How alike their patch tokens are arranged: linear CKA, debiased. 1 where they agree up to rotation, scale and shift, about
   * 0 where they have nothing in common; missing where a model varies nowhere.
   */
  cka: number | undefined;
  /** The share of each patch's nearest patches in its image that both models have, from 0 to 1; missing where there are too few. */
  neighbours: number | undefined;
  /** What each of them sees, in the order of the images. */
  images: { own: Seen; other: Seen }[];
}

/** A DINOv2 model that looks at images. */
export class Dinoscope {
  private constructor();

  /**
   * Loads a model from a weights file: official, Hugging Face or timm, `.pth` or `.safetensors`.
   * @throws {DinoscopeError} `weights` when it can't be used, `network` when it can't be fetched, `device` when there
   * is no WebGPU and it was asked for, `program` when the WebAssembly does not load.
   */
  static load(weights: WeightsSource, options?: LoadOptions): Promise<Dinoscope>;

  /** The small model that comes along, to try things out: it knows colours, edges and textures, and few things. */
  static starter(options?: LoadOptions): Promise<Dinoscope>;

  /** What the model is. */
  readonly info: ModelInfo;

  /** Where it computes. */
  readonly device: DeviceInfo;

  /** The CLS token and patch tokens of an image. */
  features(image: ImageSource, options?: LookOptions): Promise<Features>;
  /** Of several images, in their order; those of one size pass through the model together. */
  features(images: readonly ImageSource[], options?: LookOptions): Promise<Features[]>;

  /** Three principal components of the patch tokens as colours. Features that are here already can be given instead. */
  pca(image: ImageSource | Features, options?: PcaOptions): Promise<ImageData>;
  /** Several images in the colours of one basis: equal colours mean equal things. */
  pca(images: readonly (ImageSource | Features)[], options?: PcaOptions): Promise<ImageData[]>;

  /** Where a token looks, head by head. */
  attention(image: ImageSource, options?: AttentionOptions): Promise<Attention>;
  /** In several images, in their order. */
  attention(images: readonly ImageSource[], options?: AttentionOptions): Promise<Attention[]>;

  /**
   * Looks at images with this model and with another: their colours, the other's turned onto this one's, and how far they
   * agree, by the numbers of `dinoscope compare`. The models may differ in everything.
   */
  compare(other: Dinoscope, images: ImageSource | readonly ImageSource[], options?: PcaOptions): Promise<Compared>;

  /**
   * Cosine similarity, -1 to 1, of one patch to every patch of the same image or of another, in reading order.
   * Answers at once.
   */
  similarity(features: Features, place: Place, to?: Features): Float32Array;

  /**
   * Follows what is at a place of the first frame through those behind it, which may come one after another (of a video,
   * for instance), by the numbers of `dinoscope follow`. Features that are here already can be given as frames.
   */
  follow(
    frames: Iterable<ImageSource | Features> | AsyncIterable<ImageSource | Features>,
    place: Place,
    options?: FollowOptions,
  ): Promise<Followed[]>;

  /** Frees the model's memory. What is pending is rejected, and so is what is asked for afterwards. */
  dispose(): void;
}

/** What an error is about. */
export type ErrorCode =
  /** An option or argument makes no sense. */
  | 'argument'
  /** The weights can't be used. */
  | 'weights'
  /** The image can't be used. */
  | 'image'
  /** Something can't be fetched. */
  | 'network'
  /** There is no such device, or it failed. */
  | 'device'
  /** The device is gone; load the model again. */
  | 'lost'
  /** This is no browser. */
  | 'environment'
  /** The WebAssembly did not load. */
  | 'program'
  /** The WebAssembly stopped, most often for want of memory; load the model again. */
  | 'crash'
  /** The features can't be analysed. */
  | 'features'
  /** The model was disposed of. */
  | 'disposed';

/** The one kind of error that this package throws; beside the `AbortError` of a `signal`. */
export class DinoscopeError extends Error {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown });
  /** What it is about. */
  readonly code: ErrorCode;
}
