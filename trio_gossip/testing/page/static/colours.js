// Colours for canvases, from the style sheet, and read again when the scheme changes.

const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = [...KINDS, ...STATES.slice(1), "down", "card", "ink", "muted", "line", "absent"];
  for (const name of [...names, "accent"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** A canvas in its size on the screen, cleared, with a unit of one CSS pixel. */
function freshCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
