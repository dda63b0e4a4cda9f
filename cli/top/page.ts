/** The page of the terminal view: lines that fit into a terminal of any size. */
import { cut, escaped, since, size, span } from '../format.ts'
import { type Model, selectedIndex, shownRows } from './model.ts'
import { type Column, columns, type Selectable } from './rows.ts'

/** How a line is to be seen where there are colours. What it says does not depend on it. */
export type Tone = 'plain' | 'head' | 'faint' | 'bad' | 'good' | 'selected'

/** One line of the page. */
export interface Line {
  readonly text: string
  readonly tone: Tone
}

/** The size of a terminal, in letters. */
export interface TopExtent {
  readonly width: number
  readonly height: number
}

const line = (text: string, tone: Tone = 'plain'): Line => ({ text, tone })

const helpLines = [
  'up, down, j, k     select; g first, G last',
  't   the command that shows its live data',
  'b   the command that shows its batches',
  'r   have an exporter try now what waits',
  's   sort: as configured, errors, rate,',
  '    queue, age, name',
  '/   filter; enter keeps it, escape ends it',
  'q   quit; commands stay on the screen',
]

/** The page as it is at `now`: at most `height` lines of at most `width` letters. */
export function pageOf(model: Model, { width, height }: TopExtent, now: number): Line[] {
  const lines = model.help
    ? [line('kymo top', 'head'), ...helpLines.map(text => line(text)), line('any key goes back', 'faint')]
    : viewOf(model, { width, height }, now)
  return lines.slice(0, height).map(({ text, tone }) => ({ text: cut(text, width), tone }))
}

function viewOf(model: Model, { width, height }: TopExtent, now: number): Line[] {
  const rows = shownRows(model)
  const at = selectedIndex(model, rows)
  const isSmall = height < 16
  const top = [...headOf(model, width, now), ...needsOf(model, isSmall, Math.max(1, Math.floor(height / 8)), now)]
  const bottom = [...detailOf(rows[at], width, isSmall ? 1 : 2), ...footOf(model, width, isSmall ? 2 : 3)]
  const room = Math.max(1, height - top.length - bottom.length)
  return [...top, ...windowOf(bodyOf(model, rows, at, width), room), ...bottom]
}

function headOf({ look, trouble, admin }: Model, width: number, now: number): Line[] {
  if (look === undefined)
    return [line(trouble === undefined ? `asking ${escaped(admin)} ...` : escaped(trouble), 'bad')]
  const { process, memory, books_faults: faults, lost_for_good: lost } = look.whole
  const { version, phase, pid, started } = process
  const pressed = memory.pressed ? ', nothing new is taken' : ''
  const parts = [
    `kymo ${escaped(version)} ${phase} ${since(started, look.at)}`,
    `${size(memory.rss_bytes)} of ${size(memory.limit_bytes)}${pressed}`,
    faults.length === 0 ? 'books balance' : 'books do not balance',
    ...(lost === 0 ? [] : [`${lost} lost for good`]),
    `pid ${pid}`,
  ]
  const away = trouble === undefined ? [] : [line(awayText(look.at, trouble, now), 'bad')]
  return [line(fitting(parts, width), 'head'), ...away]
}

/** As many as fit, the first at any width. */
const fitting = (parts: readonly string[], width: number): string =>
  parts.reduce((text, part) => (text.length + part.length + 2 <= width ? `${text}, ${part}` : text))

/** What is below is as old as that. */
const awayText = (at: number, trouble: string, now: number): string =>
  `no answer for ${span(Math.max(0, Math.round((now - at) / 1000) * 1000))}, asked again: ${escaped(trouble.split('\n', 1)[0] ?? '')}`

/** At most so many of what needs somebody, with the command that goes on from there: on the same line, or on its own. */
function needsOf({ look }: Model, isSmall: boolean, most: number, now: number): Line[] {
  if (look === undefined) return []
  const needs = look.whole.needs_you
  if (needs.length === 0) return [line(look.whole.process.phase === 'running' ? 'All is well.' : '', 'good')]
  const hidden = needs.length > most ? needs.length - most + 1 : 0
  const shown = needs.slice(0, needs.length - hidden).flatMap(({ what, since: from = null, command }) => {
    const when = from === null ? '' : ` (${since(from, now)})`
    if (isSmall) return [line(`! ${escaped(command)}${when}: ${escaped(what)}`, 'bad')]
    return [line(`!${when} ${escaped(what)}`, 'bad'), line(`    ${escaped(command)}`)]
  })
  return hidden === 0
    ? shown
    : [...shown, line(`! ${hidden} ${shown.length === 0 ? 'need you' : 'more'}: kymo status`, 'bad')]
}

/** A line, and whether it is to be seen whatever the window. */
interface BodyLine extends Line {
  readonly selected: boolean
}

function bodyOf(model: Model, rows: readonly Selectable[], at: number, width: number): BodyLine[] {
  if (model.look === undefined) return []
  const selected = rows[at]
  const lines = (['pipeline', 'exporter'] as const).flatMap((of): BodyLine[] => {
    const mine = rows.filter(row => row.of === of)
    if (mine.length === 0) return []
    const [heading = '', ...texts] = tableOf(columns[of], mine, width - 2)
    return [
      { ...line(`  ${heading}`, 'head'), selected: false },
      ...mine.map((row, i): BodyLine => {
        const isSelected = row === selected
        const tone = isSelected ? 'selected' : row.troubled ? 'bad' : 'plain'
        return {
          ...line(`${isSelected ? '>' : row.troubled ? '!' : ' '} ${texts[i] ?? ''}`, tone),
          selected: isSelected,
        }
      }),
    ]
  })
  if (lines.length > 0) return lines
  return [
    { ...line(model.filter === '' ? 'there are no pipelines' : `nothing matches ${model.filter}`), selected: false },
  ]
}

/** A heading and rows, without the columns that do not fit; the last column may be cut. */
export function tableOf(all: readonly Column[], rows: readonly Selectable[], width: number): string[] {
  const longestName = Math.max(12, Math.floor(width / 3))
  const cellOf = (row: Selectable, i: number) => (i === 0 ? cut(row.cells[i] ?? '', longestName) : (row.cells[i] ?? ''))
  const widths = all.map(({ heading }, i) => Math.max(heading.length, ...rows.map(row => cellOf(row, i).length)))
  const kept = new Set<number>()
  let used = 0
  for (const [i, { rank }] of [...all.entries()].toSorted(([, a], [, b]) => a.rank - b.rank)) {
    const last = i === all.length - 1
    // Ten letters of what may be cut are worth their room.
    const needed = (last ? Math.min(widths[i] ?? 0, 10) : (widths[i] ?? 0)) + 2
    if (rank > 0 && used + needed > width + 2) continue
    kept.add(i)
    used += needed
  }
  const lineOf = (textOf: (i: number) => string) =>
    cut(
      all
        .flatMap(({ right }, i) => {
          if (!kept.has(i)) return []
          return [right === true ? textOf(i).padStart(widths[i] ?? 0) : textOf(i).padEnd(widths[i] ?? 0)]
        })
        .join('  ')
        .trimEnd(),
      width,
    )
  return [lineOf(i => all[i]?.heading ?? ''), ...rows.map(row => lineOf(i => cellOf(row, i)))]
}

/** Those `room` lines around the selected one; the heading above it stays as long as it can. */
function windowOf(lines: readonly BodyLine[], room: number): Line[] {
  const at = Math.max(
    0,
    lines.findIndex(({ selected }) => selected),
  )
  const from = Math.max(0, Math.min(lines.length - room, at - Math.floor(room / 2)))
  return lines.slice(from, from + room)
}

/** What is wrong with the selected row, in whole. */
function detailOf(row: Selectable | undefined, width: number, most: number): Line[] {
  return row === undefined || row.error === '' ? [] : wrapped(`${escaped(row.id)}: ${row.error}`, width, most, 'bad')
}

/** As many lines as the text takes, but no more than `most`: the last is left to be cut, so that it tells that there is more. */
function wrapped(text: string, width: number, most: number, tone: Tone): Line[] {
  const count = Math.min(most, Math.ceil(text.length / width))
  return Array.from({ length: count }, (_, i) =>
    line(text.slice(i * width, i + 1 === most ? undefined : (i + 1) * width), tone),
  )
}

/** The last lines: what there is to type, or what came of it. */
function footOf({ said, typing, filter, sort }: Model, width: number, most: number): Line[] {
  if (typing) return [line(`/${filter}_  enter keeps it, escape ends it`, 'faint')]
  if (said !== '') return wrapped(said, width, most, 'plain')
  const choice = [...(sort === undefined ? [] : [`by ${sort}`]), ...(filter === '' ? [] : [`/${filter}`])]
  const keys = ['q quit', 't tap', 'b batches', 'r retry', 's sort', '/ filter']
  return [line(fitting([['? help', ...choice].join(', '), ...keys], width), 'faint')]
}
