/** What a user sees of a configuration error. */
import type { ConfigError } from '../core/errors.ts'
import { positionOf, type Place } from './place.ts'
import { hiddenInUrls } from './masking.ts'

/** Longest piece of a source line that is shown. */
const width = 110
const mask = '****'

/** Key names whose values are not shown, where no schema says what they are. */
const secretKey = /pass(?:word|wd|phrase)|secret|token|credential|authorization|api[_-]?key|private|(?:^|_)pem$/i
const afterSecretKey = new RegExp(
  // A key that sounds secret, then its value: quoted, or up to what ends it in either style of YAML. References to
  // variables and nested sections stay readable.
  // The word is gone back into no further than names go: a line may be one long word.
  `(["']?[\\w.-]{0,64}(?:${secretKey.source.replaceAll('(?:^|_)', '_')})[\\w.-]{0,200}["']?\\s*[:=]\\s+)` +
    `(?![{[|>$]|["']\\$\\{)(?:"[^"]*"?|'[^']*'?|[^\\s,}\\]][^,}\\]#]*)`,
  'gi',
)
const scheme = /\b(Bearer |Basic )[^\s"',}$]+/gi

/** Whether a key of this name is likely to hold a secret. */
export function looksSecret(key: string): boolean {
  return secretKey.test(key)
}

/** The source line with a caret under the place; `secrets` are blacked out. */
export function snippetOf(place: Place, secrets: readonly Place[]): string {
  const { line, column } = positionOf(place)
  const { text } = place.source
  const from = Math.min(place.start, text.length) - column + 1
  const newline = text.indexOf('\n', from)
  const to = newline < 0 ? text.length : newline
  const source = text.slice(from, to).trimEnd()

  const hidden = hiddenIn(source, from, place, secrets)
  const whole = hide(source, hidden)
  const start = hide(source.slice(0, column - 1), hidden).length
  const end = Math.max(start + 1, hide(source.slice(0, Math.min(place.end, to) - from), hidden).length)

  const left = start > width - 30 ? start - 40 : 0
  const shown = (left > 0 ? '…' : '') + whole.slice(left, left + width) + (whole.length > left + width ? '…' : '')
  const indent = start - left + (left > 0 ? 1 : 0)
  const carets = '^'.repeat(Math.max(1, Math.min(end - start, shown.length - indent)))
  const blank = shown.slice(0, indent).replaceAll(/[^\t]/g, ' ').padEnd(indent)
  const gutter = `${line}`.padStart(4)
  return `${gutter} | ${shown}\n${' '.repeat(gutter.length)} | ${blank}${carets}`
}

type Range = readonly [start: number, end: number]

/** What of a match is behind its first group, with which it begins. */
const behindFirst = ({ index, 0: whole, 1: first = '' }: RegExpExecArray): Range => [
  index + first.length,
  index + whole.length,
]

/** What of a line is not to be shown, as ranges in order that do not overlap. */
function hiddenIn(line: string, from: number, { source }: Place, secrets: readonly Place[]): Range[] {
  const to = from + line.length
  const found: Range[] = secrets
    .filter(secret => secret.source === source && secret.start < to && secret.end > from)
    .map(secret => [Math.max(secret.start, from) - from, Math.min(secret.end, to) - from])
  for (const match of line.matchAll(afterSecretKey)) found.push(behindFirst(match))
  found.push(...hiddenInUrls(line))
  for (const match of line.matchAll(scheme)) found.push(behindFirst(match))
  const merged: Range[] = []
  for (const [start, end] of found.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last !== undefined && start < last[1]) merged[merged.length - 1] = [last[0], Math.max(last[1], end)]
    else merged.push([start, end])
  }
  return merged
}

/** The text, or the beginning of it, with the ranges blacked out. */
function hide(text: string, ranges: readonly Range[]): string {
  let shown = ''
  let at = 0
  for (const [start, end] of ranges) {
    if (start >= text.length) break
    shown += text.slice(at, start) + mask
    at = end
  }
  return shown + text.slice(at)
}

/** Errors or warnings as text: place, code, message, the line with a caret, what to do. */
export function renderErrors(errors: readonly ConfigError[]): string {
  return errors
    .map(({ code, message, position, snippet, hint }) => {
      const where = position === undefined ? '' : `${position.file}:${position.line}:${position.column}: `
      const lines = [`${where}${code}: ${message}`]
      if (snippet !== undefined) lines.push(snippet)
      if (hint !== undefined) lines.push(`  hint: ${hint}`)
      return `${lines.join('\n')}\n`
    })
    .join('\n')
}
