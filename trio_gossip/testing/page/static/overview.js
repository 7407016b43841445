// The whole run above the slider: load, the share of right beliefs, and what was done when.

const THUMB = 8; // half of a slider's thumb: its middle never reaches the very ends

class Overview {
  constructor(canvas, seek) {
    this.canvas = canvas;
    canvas.addEventListener("click", (event) => {
      const part = (event.offsetX - THUMB) / (canvas.clientWidth - 2 * THUMB);
      seek(part * DATA.end);
    });
  }

  show(time) {
    const { context, width, height } = freshCanvas(this.canvas);
    const x = (moment) => THUMB + (moment / (DATA.end || 1)) * (width - 2 * THUMB);
    const step = (width - 2 * THUMB) / DATA.load.length;
    const most = Math.max(1, ...DATA.load);
    context.fillStyle = colours.absent;
    context.globalAlpha = 0.55;
    DATA.load.forEach((count, at) => {
      const bar = (count / most) * (height - 4);
      context.fillRect(THUMB + at * step, height - bar, Math.ceil(step), bar);
    });
    context.globalAlpha = 1;
    this.drawShares(context, step, height);
    for (const { time: moment, tone } of DATA.milestones) {
      if (tone !== "start") this.drawMark(context, x(moment), tone, height);
    }
    context.fillStyle = colours.ink;
    context.fillRect(x(time) - 1, 0, 2, height);
  }

  drawShares(context, step, height) {
    // The root makes small disagreements visible: 3 of 100 members failed is 3 % of all beliefs.
    context.strokeStyle = colours.alive;
    context.lineWidth = 2;
    context.beginPath();
    DATA.shares.forEach((share, at) => {
      const y = 2 + Math.sqrt(1 - share / 1000) * (height - 5);
      if (at) context.lineTo(THUMB + (at + 0.5) * step, y);
      else context.moveTo(THUMB, y);
    });
    context.stroke();
  }

  /** A tick at the foot, and for an end or a fault a line over the whole height. */
  drawMark(context, x, tone, height) {
    const tall = ["end", "fault", "broken"].includes(tone);
    const colour = { end: colours.down, broken: colours.failed, fault: colours.accent, agreed: colours.alive }[tone];
    context.fillStyle = colour ?? colours[tone] ?? colours.muted;
    context.globalAlpha = tone === "fault" ? 0.4 : 1;
    context.fillRect(x - 0.75, tall ? 0 : height * 0.62, 1.5, height);
    context.globalAlpha = 1;
  }
}
