// What a page holds: the types of `src/viewer/content.rs`, and how they are unpacked. Arrays stay packed until
// they are asked for.

export type Packed = [offset: number, length: number, kind: 'u1' | 'f4' | 'f8'];
export type Fact = [name: string, text: string];
export type Numbers = Float32Array | Float64Array;

export interface ThemeColors {
  name: 'light' | 'dark';
  series: string[];
  inks: string[];
  casing: string;
  contour: string;
  hatch: string;
  colormap: string[];
}

export interface Header {
  format_version: number;
  version: string;
  title: string;
  live: boolean;
  subjects: Subject[];
  notes: string[];
  themes: ThemeColors[];
  colormaps: [string, string[]][];
}

export interface Subject {
  origin: 'run' | 'joint' | 'file' | 'function';
  name: string;
  title: string;
  subtitle: string;
  render: string[];
  runs: RunInfo[];
  planes: PlaneInfo[];
  surfaces: SurfaceInfo[];
  minima: [number, number][];
  start: [number, number] | null;
}

export interface RunInfo {
  name: string;
  title: string;
  subtitle: string;
  ended: boolean;
  snapshots: number;
  steps: number;
  epochs: number;
  series: Series[];
  measures: Fact[];
}

export interface Series {
  quantity: 'loss' | 'accuracy' | 'lr' | 'sharpness' | 'preconditioned_sharpness' | 'noise_scale' | 'signal_to_noise' | 'overshoot';
  split: 'train' | 'test' | 'batch' | 'bound';
  name: string;
  step: Packed;
  epoch: Packed;
  secs: Packed | null;
  value: Packed;
}

export interface PlaneInfo {
  name: string;
  axes: [string, string];
  facts: Fact[];
  paths: PathInfo[];
}

export interface PathInfo {
  snapshot: Packed;
  step: Packed;
  epoch: Packed;
  secs: Packed | null;
  lr: Packed;
  x: Packed;
  y: Packed;
  residual: Packed;
  later: number;
}

export interface FieldInfo {
  key: string;
  label: string;
  values: Packed;
  /** Points of its own, where it was not measured at those of the surface. */
  grid?: { xs: Packed; ys: Packed; status: Packed; caption: string };
}

export interface SurfaceInfo {
  name: string;
  plane: number | null;
  xs: Packed;
  ys: Packed;
  axes: [string, string];
  fields: FieldInfo[];
  status: Packed;
  path_losses: { network: Packed; plane: Packed }[];
  facts: Fact[];
  caption: string;
  function: string | null;
  layers: Layers | null;
  render: string[];
}

export interface Layers {
  kind: 'snapshots' | 'batches' | 'dropout';
  labels: string[];
  step: Packed;
  epoch: Packed;
  values: Packed[];
  made: string;
}

/** The version of the data that this program reads. */
export const FORMAT_VERSION = 1;

/** A page's header with its numbers. */
export class Content {
  private readonly known = new Map<string, Numbers>();

  constructor(
    readonly header: Header,
    private readonly bytes: Uint8Array,
  ) {}

  /** Unpacks what `src/viewer/arrays.rs` has packed. */
  static async unpack(deflated: Uint8Array): Promise<Content> {
    const stream = new Blob([deflated as BlobPart]).stream().pipeThrough(new DecompressionStream('deflate'));
    const plain = new Uint8Array(await new Response(stream).arrayBuffer());
    const length = new DataView(plain.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(plain.subarray(4, 4 + length))) as Header;
    if (header.format_version !== FORMAT_VERSION) {
      throw new Error(`data of version ${header.format_version}, this page reads version ${FORMAT_VERSION}`);
    }
    return new Content(header, plain.subarray(Math.ceil((4 + length) / 8) * 8));
  }

  /** The numbers of an array. */
  numbers([offset, length, kind]: Packed): Numbers {
    // Empty arrays lie where the next one does.
    const key = `${offset} ${length}`;
    const found = this.known.get(key);
    if (found) return found;
    const size = kind === 'f8' ? 8 : 4;
    // The bytes lie sorted by their place within a number.
    const sorted = new Uint8Array(length * size);
    for (let place = 0; place < size; place++) {
      const from = offset + place * length;
      for (let i = 0; i < length; i++) sorted[i * size + place] = this.bytes[from + i]!;
    }
    const numbers = kind === 'f8' ? new Float64Array(sorted.buffer) : new Float32Array(sorted.buffer);
    this.known.set(key, numbers);
    return numbers;
  }

  /** The bytes of an array. */
  marks([offset, length]: Packed): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }
}
