// Colour maps and themes: the colours come with the page, from `src/render/canvas`.

import type { Header, ThemeColors } from './content';

/** A colour map as 256 RGBA texels. */
export function texels(colors: string[]): Uint8Array {
  const out = new Uint8Array(256 * 4);
  const rgb = colors.map(parse);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (rgb.length - 1);
    const k = Math.min(rgb.length - 2, Math.floor(at));
    for (let c = 0; c < 3; c++) out[4 * i + c] = Math.round(rgb[k]![c]! + (at - k) * (rgb[k + 1]![c]! - rgb[k]![c]!));
    out[4 * i + 3] = 255;
  }
  return out;
}

export function parse(hex: string): [number, number, number] {
  const n = parseInt(hex.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/** The map called `name`; the theme's own for `theme`. A name that ends in `-r` is turned over. */
export function colormap(header: Header, theme: ThemeColors, name: string): string[] {
  const reversed = name.endsWith('-r');
  const plain = reversed ? name.slice(0, -2) : name;
  const found = plain === 'theme' ? theme.colormap : (header.colormaps.find(([n]) => n === plain)?.[1] ?? theme.colormap);
  return reversed ? [...found].reverse() : found;
}
