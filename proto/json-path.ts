/** Where in a JSON document a byte stands, for error texts. */

/** Paths longer than this are cut: they are for people. */
const longestPath = 300
const longestKey = 60

interface Level {
  readonly list: boolean
  index: number
  key: string
}

/** The path of what stands at byte `end`, such as `resourceSpans[0].scopeSpans[2].spans[7].traceId`. */
export function pathAt(text: Buffer, end: number): string {
  const levels: Level[] = []
  let isKey = false
  for (let at = 0; at < end; at++) {
    const byte = text[at]
    const level = levels.at(-1)
    if (byte === 0x22) {
      const close = endOfString(text, at, end)
      if (close >= end) break
      if (level !== undefined && !level.list && isKey) level.key = keyText(text, at, close)
      at = close
      isKey = false
    } else if (byte === 0x7b || byte === 0x5b) {
      levels.push({ list: byte === 0x5b, index: 0, key: '' })
      isKey = byte === 0x7b
    } else if (byte === 0x7d || byte === 0x5d) levels.pop()
    else if (byte === 0x2c && level !== undefined) {
      if (level.list) level.index++
      else level.key = ''
      isKey = !level.list
    }
  }
  return render(levels)
}

/** Where the closing quote is. */
function endOfString(text: Buffer, open: number, end: number): number {
  let at = open + 1
  while (at < end && text[at] !== 0x22) at += text[at] === 0x5c ? 2 : 1
  return at
}

function keyText(text: Buffer, open: number, close: number): string {
  const key = text.toString('utf8', open + 1, Math.min(close, open + 1 + longestKey))
  return close - open - 1 > longestKey ? `${key}...` : key
}

function render(levels: readonly Level[]): string {
  let path = ''
  for (const { list, index, key } of levels) {
    if (list) path += `[${index}]`
    else if (key !== '') path += path === '' ? key : `.${key}`
    if (path.length > longestPath) return `${path.slice(0, longestPath)}...`
  }
  return path
}
