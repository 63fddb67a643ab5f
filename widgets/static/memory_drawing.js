// The MemoryExplorer's two pictures: gates over tokens and units, and below it the influence of each token.

// How the models' curves differ, so that it is never colour alone.
const pattern = (number) => [[], [6, 3], [2, 3], [9, 3, 2, 3]][number % 4];

// Blue below zero, orange above it, paper between: colour-blind safe, and light stays light.
function diverging(value, paper) {
  const end = value < 0 ? [0, 114, 178] : [213, 94, 0];
  const share = Math.min(Math.abs(value), 1) ** 0.7;
  return paper.map((from, i) => Math.round(from + (end[i] - from) * share));
}

// Black or white, whichever stands out more on this colour.
function readableOn(rgb) {
  const [r, g, b] = rgb.map((part) => (part / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

// "rgb(33, 33, 33)" or "#212121" as [r, g, b]: the canvas knows every way of writing a colour.
function channels(colour) {
  const pen = element("canvas", { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = colour.trim();
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

// Makes a canvas as sharp as the screen; returns its pen, in CSS pixels, with the widget's font.
function sharp(canvas, width, height) {
  const dots = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dots);
  canvas.height = Math.round(height * dots);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(dots, dots);
  const style = getComputedStyle(canvas);
  pen.font = `${parseFloat(style.fontSize) * 0.85}px ${style.fontFamily}`;
  pen.textBaseline = "middle";
  return pen;
}

// One pixel a cell: the units in this order from top to bottom, the tokens from left to right.
function gatePixels(T, order, colour) {
  const image = new ImageData(T, order.length);
  for (let token = 0; token < T; token++) {
    order.forEach((unit, row) => image.data.set([...colour(token, unit), 255], 4 * (row * T + token)));
  }
  const canvas = element("canvas", { width: T, height: order.length });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// The map with the tokens above it; columns says where they stand. Returns where the units stand, for the mouse.
function drawMap(canvas, { style, font }, labels, pixels, { left, cell }, marked) {
  const names = labels.map((name) => (name.length > 12 ? `${name.slice(0, 11)}…` : name));
  const [T, units] = [pixels.width, pixels.height];
  const flat = cell > font * 4.2; // wide enough to write the words level
  const measure = canvas.getContext("2d");
  measure.font = `${font * 0.85}px ${style.fontFamily}`;
  const top = flat ? font * 1.6 : Math.max(...names.map((name) => measure.measureText(name).width)) + 10;
  const height = Math.max(1, Math.min(Math.max(font * 18, 130) / units, font * 1.1)); // of one unit
  const pen = sharp(canvas, canvas.clientWidth, Math.ceil(top + height * units + 4));
  pen.imageSmoothingEnabled = false;
  pen.drawImage(pixels, left, top, cell * T, height * units);
  pen.fillStyle = style.getPropertyValue("--fbc-quiet");
  pen.textAlign = "right";
  pen.fillText(`${units} units`, left - 8, top + (height * units) / 2);
  names.forEach((name, token) => {
    pen.fillStyle = style.getPropertyValue(token === marked.token ? "--fbc-text" : "--fbc-quiet");
    pen.save();
    pen.translate(left + (token + 0.5) * cell, top - 5);
    if (!flat) pen.rotate(-Math.PI / 2);
    pen.textAlign = flat ? "center" : "left";
    pen.fillText(name, 0, flat ? -font * 0.5 : 0);
    pen.restore();
  });
  pen.strokeStyle = style.getPropertyValue("--fbc-focus");
  pen.lineWidth = 2;
  if (marked.row !== undefined) pen.strokeRect(left - 1, top + marked.row * height - 1, cell * T + 2, Math.max(height + 2, 4));
  if (marked.token !== undefined) pen.strokeRect(left + marked.token * cell, top - 1, cell, height * units + 2);
  return { top, height };
}

// Every model's influence under the map's columns, by powers of ten; the chosen model's curve is thick.
function drawCurves(canvas, { style, font }, readings, chosen, { left, cell }, marked) {
  const all = readings.flatMap((one) => one.influence.filter((v) => v > 0));
  const high = Math.ceil(Math.log10(Math.max(...all, 1e-12)));
  const low = Math.min(high - 1, Math.max(Math.floor(Math.log10(Math.min(...all, 10 ** high))), high - 12));
  const [top, height, T] = [font, font * 13, readings[0].influence.length];
  const pen = sharp(canvas, canvas.clientWidth, height + 2 * font);
  const y = (v) => top + (height * (high - Math.max(Math.log10(Math.max(v, 1e-300)), low))) / (high - low);
  const x = (token) => left + (token + 0.5) * cell;
  pen.textAlign = "right";
  pen.strokeStyle = style.getPropertyValue("--fbc-rule");
  pen.fillStyle = style.getPropertyValue("--fbc-quiet");
  for (let power = high; power >= low; power -= Math.ceil((high - low) / 6)) {
    pen.beginPath();
    pen.moveTo(left, y(10 ** power));
    pen.lineTo(left + T * cell, y(10 ** power));
    pen.stroke();
    pen.fillText(power >= -3 && power <= 3 ? `${10 ** power}`.slice(0, 5) : `1e${power}`, left - 8, y(10 ** power));
  }
  const line = parseFloat(style.getPropertyValue("--fbc-line")) || 2;
  readings.map((one, number) => ({ ...one, number })).sort((a, b) => (a.name === chosen) - (b.name === chosen)).forEach((one) => {
    pen.strokeStyle = pen.fillStyle = style.getPropertyValue(one.name === chosen ? "--fbc-accent" : "--fbc-quiet");
    pen.lineWidth = (one.name === chosen ? 1.5 : 0.75) * line;
    pen.setLineDash(pattern(one.number));
    pen.beginPath();
    one.influence.forEach((v, token) => pen.lineTo(x(token), y(v)));
    pen.stroke();
    pen.setLineDash([]);
    if (one.name !== chosen) return;
    one.influence.forEach((v, token) => {
      pen.beginPath();
      pen.arc(x(token), y(v), 1.6 * line, 0, 7);
      pen.fill();
    });
  });
  if (marked === undefined) return;
  pen.strokeStyle = style.getPropertyValue("--fbc-focus");
  pen.lineWidth = 2;
  pen.strokeRect(left + marked * cell, top - 1, cell, height + 2);
}
