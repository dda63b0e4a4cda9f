/** Where things stand in the sources of a configuration. */
import { elementAt } from '../core/element-at.ts'
import type { Position } from '../core/errors.ts'

/** One text a configuration is read from. */
export interface SourceText {
  /** What the user calls it: a path, or the option it was given with. */
  readonly name: string
  readonly text: string
  /** Its turn among the sources. */
  readonly order: number
  /** Where its lines begin, once somebody has asked: with thousands of errors, looking each time takes minutes. */
  lines?: readonly number[]
}

/** A stretch of a source: from `start` to before `end`. */
export interface Place {
  readonly source: SourceText
  readonly start: number
  readonly end: number
}

/** Line and column of a place, counted from 1. */
export function positionOf(place: Place): Position {
  const { source } = place
  const start = Math.min(place.start, source.text.length)
  source.lines ??= linesOf(source.text)
  const line = lastUpTo(source.lines, start)
  return { file: source.name, line: line + 1, column: start - elementAt(source.lines, line) + 1 }
}

function linesOf(text: string): number[] {
  const lines = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.push(at + 1)
  return lines
}

/** Index of the last of some ascending numbers that is not above `most`; the first of them is not. */
function lastUpTo(numbers: readonly number[], most: number): number {
  let low = 0
  let high = numbers.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (elementAt(numbers, middle) <= most) low = middle
    else high = middle - 1
  }
  return low
}

/** Orders places as a reader meets them. */
export function comparePlaces(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return a.source.order - b.source.order || a.start - b.start
}

/** Where a value stands that no source gives: nowhere, it is a default. */
export const defaultPlace: Place = { source: { name: 'default', text: '', order: -1 }, start: 0, end: 0 }

/** A reference to a variable or a file, as it is written in a value. */
const reference = /\$\{(?:(env|file):)?([^${}]*?)(?::-[^{}]*)?\}/g

/**
 * Where a value came from, in words: `default`, `--set KEY`, `FILE:LINE:COLUMN`, or `env NAME (FILE:LINE:COLUMN)`; with
 * `env` it is told of a variable that is not set.
 */
export function originOf(place: Place, env?: NodeJS.ProcessEnv): string {
  const { source, start, end } = place
  if (source === defaultPlace.source) return 'default'
  if (source.name.startsWith('--set ')) return source.name
  const { file, line, column } = positionOf(place)
  const at = `${file}:${line}:${column}`
  const named = [...source.text.slice(start, end).matchAll(reference)].map(([, scheme = 'env', name = '']) => {
    const unset = scheme === 'env' && env !== undefined && env[name] === undefined
    return `${scheme} ${name}${unset ? ', not set' : ''}`
  })
  return named.length === 0 ? at : `${[...new Set(named)].join(', ')} (${at})`
}
