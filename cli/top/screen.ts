/** The terminal: what shows pages and hears keys, and the packages that know how. Nothing but `kymo top` loads this. */
import { Box, type Key as InkKey, render, renderToString, Text, useInput } from 'ink'
import { createElement, type ReactElement } from 'react'
import type { Line, Tone } from './page.ts'

/** Something that shows lines in place of those before. */
export interface TopScreen {
  show(lines: readonly Line[]): void
  /** Gives the terminal back as it was. */
  close(): Promise<void>
}

/** What the screen needs. */
export interface ScreenOptions {
  readonly colors: boolean
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** Called with each key, by its name or letter. */
  onKey(key: string): void
}

type Style = Pick<Parameters<typeof Text>[0], 'bold' | 'color' | 'dimColor' | 'inverse'>

const styles: Readonly<Record<Tone, Style>> = {
  plain: {},
  head: { bold: true },
  faint: { dimColor: true },
  bad: { color: 'red' },
  good: { color: 'green' },
  selected: { inverse: true },
}

/** Takes the terminal over. */
export function openScreen({ colors, input, output, onKey }: ScreenOptions): TopScreen {
  const pageFor = (lines: readonly Line[]) => createElement(Page, { lines, colors, onKey })
  const shown = render(pageFor([]), {
    stdin: input,
    stdout: output,
    exitOnCtrlC: false,
    patchConsole: false,
    interactive: true,
    alternateScreen: true,
    // Only what changed is written.
    incrementalRendering: true,
  })
  return {
    show: lines => shown.rerender(pageFor(lines)),
    async close() {
      shown.unmount()
      await shown.waitUntilExit()
    },
  }
}

/** The same lines as a terminal of `width` has them, as text. */
export const screenText = (lines: readonly Line[], width: number, colors: boolean): string =>
  renderToString(createElement(Lines, { lines, colors }), { columns: width })

interface LinesProperties {
  readonly lines: readonly Line[]
  readonly colors: boolean
}

function Page({ lines, colors, onKey }: LinesProperties & Pick<ScreenOptions, 'onKey'>): ReactElement {
  useInput((text, key) => {
    for (const name of namesOf(text, key)) onKey(name)
  })
  return createElement(Lines, { lines, colors })
}

function Lines({ lines, colors }: LinesProperties): ReactElement {
  const rows = lines.map(({ text, tone }, i) =>
    // An empty line has no height.
    createElement(Text, { key: i, wrap: 'truncate', ...(colors ? styles[tone] : {}) }, text === '' ? ' ' : text),
  )
  return createElement(Box, { flexDirection: 'column' }, rows)
}

const names = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'return'],
  ['escape', 'escape'],
  ['backspace', 'backspace'],
  // What most terminals send for the key above enter.
  ['delete', 'backspace'],
] as const satisfies readonly (readonly [keyof InkKey, string])[]

/** Letters as they are, and keys among them by their names; others are left out. */
export const keysOf = (text: string): string[] =>
  Array.from(text).flatMap(one => (one >= ' ' && one !== '\u007f' ? [one] : (among[one] ?? [])))

const among: Readonly<Record<string, string>> = {
  '\r': 'return',
  '\n': 'return',
  '\b': 'backspace',
  '\u007f': 'backspace',
  '\u0003': 'ctrl-c',
}

function namesOf(text: string, key: InkKey): readonly string[] {
  const named = names.find(([one]) => key[one])
  if (named !== undefined) return [named[1]]
  if (key.ctrl) return text === 'c' ? ['ctrl-c'] : []
  // Over a slow line several keys come at once, as do letters that are pasted.
  return key.meta || key.tab ? [] : keysOf(text)
}
