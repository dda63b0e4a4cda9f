/** Text packed with the Huffman code of HPACK (RFC 7541, 5.2 and appendix B), unpacked by table: half a byte a step. */

/** Bits of the code of each byte, and of the end mark; which bits follows from that, since the code is canonical. */
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
]
const endMark = 256

/** In an entry of the table: a byte is complete (in bits 8 to 15), no code goes like this, the text may end here. */
const EMIT = 1 << 16
const FAIL = 1 << 17
const ENDS = 1 << 18

/** For each place in the tree of codes and each half byte: the next place, and what came of it. */
const table = makeTable()

/** Unpacks `bytes` from `from` to `to`; undefined when they are no such text. */
export function unpack(bytes: Uint8Array, from: number, to: number): string | undefined {
  // No code is shorter than five bits.
  const out = Buffer.allocUnsafe(Math.ceil(((to - from) * 8) / 5))
  let size = 0
  let entry = ENDS
  for (let at = from; at < to; at++) {
    const byte = bytes[at]
    entry = table[((entry & 0xff) << 4) | (byte >> 4)]
    if ((entry & EMIT) !== 0) out[size++] = entry >> 8
    if ((entry & FAIL) !== 0) return undefined
    entry = table[((entry & 0xff) << 4) | (byte & 15)]
    if ((entry & EMIT) !== 0) out[size++] = entry >> 8
    if ((entry & FAIL) !== 0) return undefined
  }
  return (entry & ENDS) === 0 ? undefined : out.toString('latin1', 0, size)
}

/** The tree: two children for each inner place, which are inner places or, negative, complemented symbols. */
function makeTree(): number[][] {
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a] - lengths[b] || a - b)
  const tree: number[][] = [[]]
  let code = 0
  let length = lengths[symbols[0]]
  for (const symbol of symbols) {
    code <<= lengths[symbol] - length
    length = lengths[symbol]
    let place = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const way = (code >> bit) & 1
      if (tree[place][way] === undefined) tree[place][way] = tree.push([]) - 1
      place = tree[place][way]
    }
    tree[place][code & 1] = ~symbol
    code++
  }
  return tree
}

function makeTable(): Int32Array {
  const tree = makeTree()
  // Text ends at the root, or in up to seven bits of the end mark, which is ones only.
  const ends = new Set([0])
  for (let place = 0, bits = 0; bits < 7; bits++) ends.add((place = tree[place][1]))
  const made = new Int32Array(tree.length * 16)
  for (let start = 0; start < tree.length; start++) {
    for (let half = 0; half < 16; half++) {
      let place = start
      let entry = 0
      for (let bit = 3; bit >= 0; bit--) {
        const next = tree[place][(half >> bit) & 1]
        if (next === ~endMark) entry |= FAIL
        else if (next < 0) entry |= EMIT | (~next << 8)
        place = Math.max(next, 0)
      }
      made[start * 16 + half] = entry | place | (ends.has(place) ? ENDS : 0)
    }
  }
  return made
}
