/** An SVG as a PNG, with the fonts that come with the package: the same on every machine. Node only. */
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';

const require = createRequire(import.meta.url);

export const FONT_FILES = {
  regular: require.resolve('@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf'),
  semibold: require.resolve('@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf'),
} as const;

/** Two pixels for a unit of the SVG, of a large one as many as make a picture of so many in all. */
const SCALE = 2;
const PIXELS_MAX = 16_000_000;

/** `scale`: pixels for one unit of the SVG. */
export const pngOf = (svg: string, scale = scaleFor(svg)): Buffer =>
  new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { fontFiles: Object.values(FONT_FILES), loadSystemFonts: false, defaultFontFamily: 'Inter', sansSerifFamily: 'Inter' },
  })
    .render()
    .asPng();

const scaleFor = (svg: string): number => {
  const [, width, height] = /^<svg [^>]*? width="(\d+)" height="(\d+)"/.exec(svg)!;
  return Math.min(SCALE, Math.sqrt(PIXELS_MAX / (Number(width) * Number(height))));
};
