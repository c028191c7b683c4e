// MP4 and QuickTime files that can be read from front to back.

const CONTAINERS = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'edts', 'mvex']);
const LARGEST_INDEX = 2 ** 28; // bytes

/**
 * Cameras write the index of an MP4 (the box "moov") behind its media, where a stream comes too late to it. This gives
 * the file with the index in front and its offsets moved (as `ffmpeg -movflags faststart` does), without copying media:
 * a Blob. Any other file is given back as it is.
 */
export async function faststart(file) {
  const boxes = await topLevel(file);
  const index = boxes.findIndex((box) => box.type === 'moov');
  const media = boxes.findIndex((box) => box.type === 'mdat');
  if (index < 0 || media < 0 || index < media || boxes[index].size > LARGEST_INDEX) return file;
  const { start, size } = boxes[index];
  const moov = new DataView(await file.slice(start, start + size).arrayBuffer());
  if (!moveOffsets(moov, 0, moov.byteLength, size)) return file;
  const before = boxes[media].start;
  return new Blob([file.slice(0, before), moov.buffer, file.slice(before, start), file.slice(start + size)]);
}

/** [{type, start, size}], or none where the file is no MP4. */
async function topLevel(file) {
  const boxes = [];
  for (let start = 0; start + 8 <= file.size; ) {
    const head = new DataView(await file.slice(start, start + 16).arrayBuffer());
    const type = name(head, 4);
    if (!boxes.length && type !== 'ftyp') return [];
    let size = head.getUint32(0);
    if (size === 1 && head.byteLength === 16) size = Number(head.getBigUint64(8));
    else if (size === 0) size = file.size - start; // up to the end of the file
    if (size < 8) return [];
    boxes.push({ type, start, size });
    start += size;
  }
  return boxes;
}

/** Add `shift` to the offsets of all chunks between `from` and `to`; false where they have no room for it. */
function moveOffsets(view, from, to, shift) {
  for (let at = from; at + 8 <= to; ) {
    const size = view.getUint32(at);
    const type = name(view, at + 4);
    if (size < 8 || at + size > to) return false;
    if (CONTAINERS.has(type) && !moveOffsets(view, at + 8, at + size, shift)) return false;
    if (type === 'stco' || type === 'co64') {
      const width = type === 'stco' ? 4 : 8;
      const count = view.getUint32(at + 12);
      if (16 + count * width > size) return false;
      for (let k = 0; k < count; k++) {
        const place = at + 16 + k * width;
        if (width === 8) {
          view.setBigUint64(place, view.getBigUint64(place) + BigInt(shift));
        } else {
          const offset = view.getUint32(place) + shift;
          if (offset >= 2 ** 32) return false;
          view.setUint32(place, offset);
        }
      }
    }
    at += size;
  }
  return true;
}

function name(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((k) => view.getUint8(at + k)));
}
