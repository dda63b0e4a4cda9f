/** What the terminal view knows, and what a key changes of it. Nothing here asks or shows anything. */
import { defaultAdmin } from '../admin-client.ts'
import type { Sorting } from '../options.ts'
import { escaped } from '../format.ts'
import type { Look } from './look.ts'
import { type Selectable, rowsOf } from './rows.ts'

/** All that is shown is made of this. */
export interface Model {
  /** Where is asked, for the commands that are told. */
  readonly admin: string
  /** The last one that was answered. */
  readonly look: Look | undefined
  /** Why there is no newer one. */
  readonly trouble: string | undefined
  readonly sort: Sorting | undefined
  readonly filter: string
  /** Whether letters go into the filter. */
  readonly typing: boolean
  readonly help: boolean
  /** Key of the row that is selected; the first where there is no such row. */
  readonly selected: string | undefined
  /** What came of the last key, or a command to type. */
  readonly said: string
  /** Whether an answer of a retry is waited for. */
  readonly retrying: boolean
}

/** What is to be done besides showing. */
export type Effect =
  | { readonly do: 'quit' }
  | { readonly do: 'retry'; readonly exporter: string; readonly signal: string }

/** What a key leads to. */
export interface TopPress {
  readonly model: Model
  readonly effect?: Effect
}

/** Before the first look. */
export const started = (admin: string): Model => ({
  admin,
  look: undefined,
  trouble: undefined,
  sort: undefined,
  filter: '',
  typing: false,
  help: false,
  selected: undefined,
  said: '',
  retrying: false,
})

/** The rows that are shown. */
export const shownRows = (model: Model): Selectable[] => (model.look === undefined ? [] : rowsOf(model.look, model))

/** Where the selected row is among them; 0 where it is gone. */
export const selectedIndex = (model: Model, rows: readonly Selectable[]): number =>
  Math.max(
    0,
    rows.findIndex(({ key }) => key === model.selected),
  )

/** Sortings in the order that a key goes through; undefined is that of the configuration. */
const sortings: readonly (Sorting | undefined)[] = [undefined, 'errors', 'rate', 'queue', 'age', 'name']

const moves: Readonly<Record<string, number>> = { up: -1, k: -1, down: 1, j: 1, pageup: -10, pagedown: 10 }
const ends: Readonly<Record<string, number>> = { home: 0, g: 0, end: Infinity, G: Infinity }

/** The longest filter. */
const longest = 60

/** What `key` does: a letter, or what a key is called. */
export function press(model: Model, key: string): TopPress {
  if (key === 'ctrl-c') return { model, effect: { do: 'quit' } }
  if (model.typing) return { model: typed(model, key) }
  if (model.help) return { model: { ...model, help: false } }
  const rows = shownRows(model)
  const at = selectedIndex(model, rows)
  const to = ends[key] ?? (moves[key] === undefined ? undefined : at + moves[key])
  if (to !== undefined) {
    const next = rows[Math.max(0, Math.min(rows.length - 1, to))]
    return { model: { ...model, selected: next?.key, said: '' } }
  }
  switch (key) {
    case 'q':
      return { model, effect: { do: 'quit' } }
    case '?':
      return { model: { ...model, help: true } }
    case '/':
      return { model: { ...model, typing: true, said: '' } }
    case 'escape':
      return { model: { ...model, filter: '', said: '' } }
    case 's':
      return { model: { ...model, sort: sortings[(sortings.indexOf(model.sort) + 1) % sortings.length] } }
    case 't':
    case 'b':
    case 'r':
      return asked(model, rows[at], key)
    default:
      return { model }
  }
}

function typed(model: Model, key: string): Model {
  switch (key) {
    case 'return':
      return { ...model, typing: false }
    case 'escape':
      return { ...model, typing: false, filter: '' }
    case 'backspace':
      return { ...model, filter: model.filter.slice(0, -1) }
    default: {
      // Other keys have names, which are longer than a letter.
      const text = Array.from(key).length === 1 ? key : ''
      return { ...model, filter: (model.filter + escaped(text)).slice(0, longest) }
    }
  }
}

/** A key that is about the selected row. */
function asked(model: Model, row: Selectable | undefined, key: 't' | 'b' | 'r'): TopPress {
  const say = (said: string): TopPress => ({ model: { ...model, said } })
  if (row === undefined) return say('nothing is selected')
  const { of, id, signal } = row
  if (key === 't') return say(command(model, 'tap', id))
  if (key === 'b') {
    const where = of === 'exporter' ? ['--component', id] : ['--signal', signal]
    return say(command(model, 'batches', ...where))
  }
  if (of !== 'exporter') return say('only exporters are tried again: select one')
  if (model.retrying) return say('an answer is still waited for')
  const waiting = {
    ...model,
    retrying: true,
    said: `asking the destination of ${escaped(id)} (${escaped(signal)}) ...`,
  }
  return { model: waiting, effect: { do: 'retry', exporter: id, signal } }
}

/** A command as it is typed into a shell, to where this view asks. */
function command({ admin }: Model, ...words: readonly string[]): string {
  const where = admin === defaultAdmin ? [] : ['--admin', admin]
  return ['kymo', ...words, ...where].map(word => (/^[\w./:@=,+-]+$/.test(word) ? word : quoted(word))).join(' ')
}

/** One word of a shell, whatever is in it: nothing inside of these quotes means anything. */
const quoted = (word: string): string => `'${escaped(word).replaceAll("'", "'\\''")}'`
