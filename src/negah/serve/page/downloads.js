// Captions as files: a table, or a text file for each photo or clip.

function save(name, parts, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A cell that a spreadsheet would take for a formula gets a quote in front.
function cell(text) {
  const safe = /^'?[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function downloadCsv(album) {
  const rows = album.flatMap((item) =>
    item.answers.map((answer) => {
      const sure = typeof answer.confidence === "number" ? answer.confidence.toFixed(4) : "";
      return [item.name, answer.model, answer.text.value, sure, answer.text.lang];
    }));
  const lines = [["path", "model", "caption", "confidence", "language"], ...rows].map((row) => row.map(cell).join(","));
  // spreadsheets take a table for one of the machine's own letters unless a mark says UTF-8
  const mark = album.some((item) => item.answers.some((answer) => answer.text.lang !== "en")) ? "\ufeff" : "";
  save("captions.csv", [mark, `${lines.join("\r\n")}\r\n`], "text/csv");
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Files in a ZIP archive, stored as they are (APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).
function zip(files) {
  const parts = [];
  const directory = [];
  const encoder = new TextEncoder();
  let offset = 0;
  for (const { name, text } of files) {
    const path = encoder.encode(name);
    const bytes = encoder.encode(text);
    const common = new DataView(new ArrayBuffer(26));
    common.setUint16(0, 20, true);
    common.setUint16(2, 0x0800, true); // names in UTF-8
    common.setUint16(8, 0x21, true); // the first day of 1980
    common.setUint32(10, crc32(bytes), true);
    common.setUint32(14, bytes.length, true);
    common.setUint32(18, bytes.length, true);
    common.setUint16(22, path.length, true);
    parts.push(new Uint8Array([80, 75, 3, 4]), common.buffer, path, bytes);
    const rest = new DataView(new ArrayBuffer(14));
    rest.setUint32(10, offset, true);
    directory.push(new Uint8Array([80, 75, 1, 2, 20, 0]), common.buffer, rest.buffer, path);
    offset += 30 + path.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return [...parts, ...directory, end.buffer];
}

export function downloadSidecars(album) {
  const taken = new Set();
  const files = album.flatMap((item) => item.answers.slice(0, 1).map((answer) => {
    const stem = item.name.replace(/\.[^.]+$/, "").replaceAll(/[\\/]/g, "_");
    let name = `${stem}.txt`;
    for (let n = 2; taken.has(name.toLowerCase()); n += 1) name = `${stem}-${n}.txt`;
    taken.add(name.toLowerCase());
    return { name, text: `${answer.text.value}\n` };
  }));
  save("captions.zip", zip(files), "application/zip");
}
