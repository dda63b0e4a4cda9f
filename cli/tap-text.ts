/** Items of a tap as people read them. */
import { jsonToProtobuf } from '../proto/json-read.ts'
import { readRequest } from '../proto/request.ts'
import { signals } from '../proto/signals.ts'
import { detailedText, normalText } from '../proto/text.ts'
import type { TapItemDocument, TapNoteDocument } from '../service/tap-stream.ts'
import { clock, printable, size } from './format.ts'

/** Lines beyond which two texts are not compared. */
const mostLines = 500

/** One item in a few lines, or what became of it. */
export class TapText {
  /** The first of a pair, until the second is there. */
  #before: TapItemDocument | undefined

  of(item: TapItemDocument): string {
    const before = this.#before
    this.#before = undefined
    if (item.pair === undefined) return `${headOf(item)}\n${indented(bodyOf(item, normalText))}`
    if (before?.pair === item.pair) return changeText(before, item)
    this.#before = item
    return ''
  }
}

function headOf(
  { time, kind, component, pipeline, side, came_out, cut_from_bytes }: TapItemDocument,
  what: string = side,
): string {
  const where = pipeline === undefined ? '' : `, pipeline ${pipeline}`
  const fate = came_out === undefined ? '' : fateOf(came_out)
  const cut = cut_from_bytes === undefined ? '' : `; cut, it is ${size(cut_from_bytes)}`
  return printable(`${clock(time)} ${kind} ${component} ${what}${where}${fate}${cut}`)
}

const fateOf = (cameOut: number): string =>
  cameOut === 0
    ? '; nothing of its batch came out at once: dropped, or kept for later'
    : `; ${cameOut} items of its batch came out`

/** `text` of the item: that of the exporter `debug`. */
function bodyOf({ signal, request, unreadable }: TapItemDocument, text: typeof normalText): string {
  if (request === undefined) return `<malformed: ${printable(unreadable ?? '')}>`
  const bytes = jsonToProtobuf(signals[signal].request, Buffer.from(JSON.stringify(request)))
  return text(signal, readRequest(signal, bytes).groups)
}

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ').concat('\n')

function changeText(before: TapItemDocument, after: TapItemDocument): string {
  const [old, made] = [bodyOf(before, detailedText), bodyOf(after, detailedText)]
  const what = indented(bodyOf(before, normalText))
  if (old === made) return `${headOf(after, 'changes nothing')}\n${what}`
  return `${headOf(after, 'changes')}\n${what}${changedLines(old.split('\n'), made.split('\n')).join('\n')}\n`
}

/** Lines that are in one of the two alone: those gone with `-`, those new with `+`, in their order. */
export function changedLines(before: readonly string[], after: readonly string[]): string[] {
  const gone = (line: string) => `    - ${line.trim()}`
  const made = (line: string) => `    + ${line.trim()}`
  if (before.length > mostLines || after.length > mostLines) return [...before.map(gone), ...after.map(made)]
  // How many lines both have in common, from there to the end.
  const common = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1))
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const row = common[i]
      if (row !== undefined)
        row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: string[] = []
  let i = 0
  let j = 0
  while (i < before.length || j < after.length) {
    const [old, now] = [before[i], after[j]]
    if (old !== undefined && old === now) {
      i++
      j++
    } else if (old !== undefined && (now === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(gone(old))
      i++
    } else if (now !== undefined) {
      lines.push(made(now))
      j++
    }
  }
  return lines
}

/** What is told beside items. */
export function noteText({ note, at = [], message = '', not_shown = 0, ...counts }: TapNoteDocument): string {
  const { shown = 0, items = 0, batches = 0, looked_at = 0 } = counts
  const passed = `${shown} shown; ${items} items passed in ${batches} batches, of which ${looked_at} were looked at`
  switch (note) {
    case 'tapping':
      return `looking at ${at.length === 0 ? 'nothing: no such data goes there' : at.map(placeText).join('; ')}\n`
    case 'progress':
      return `${passed}\n`
    case 'not_shown':
      return `... ${not_shown} not shown: they were not read in time\n`
    case 'ended':
      return `${printable(message)}: ${passed}${not_shown > 0 ? `; ${not_shown} were not read in time` : ''}\n`
  }
}

function placeText({ kind, component, pipeline, signal, sides }: NonNullable<TapNoteDocument['at']>[number]): string {
  const where = pipeline === undefined ? `for ${signal}` : `in ${pipeline}`
  return printable(`${kind} ${component} ${sides.join(' and ')} ${where}`)
}
