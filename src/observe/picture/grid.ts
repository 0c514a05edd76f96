/** Boxes that are alike, in rows and columns: as many columns as make the whole about as wide as a slide is. */
type Size = { readonly width: number; readonly height: number };

type Cell = Size & { readonly x: number; readonly y: number };

export type Grid = Size & { readonly cells: readonly Cell[] };

/** Columns are as wide as the widest box, rows as high as their highest; cells are placed from the grid's top left corner. */
export const gridOf = (sizes: readonly Size[], gap: number, aspect: number): Grid => {
  const width = Math.max(...sizes.map((size) => size.width));
  const grids = sizes.map((_, index) => arrange(sizes, index + 1, width, gap));
  const extent = (grid: Grid): number => Math.max(grid.width, grid.height * aspect);
  return grids.reduce((best, grid) => (extent(grid) < extent(best) ? grid : best));
};

const arrange = (sizes: readonly Size[], columns: number, width: number, gap: number): Grid => {
  const cells: Cell[] = [];
  let y = 0;
  for (let at = 0; at < sizes.length; at += columns) {
    const row = sizes.slice(at, at + columns);
    const height = Math.max(...row.map((size) => size.height));
    row.forEach((_, column) => cells.push({ x: column * (width + gap), y, width, height }));
    y += height + gap;
  }
  return { width: Math.min(columns, sizes.length) * (width + gap) - gap, height: y - gap, cells };
};
