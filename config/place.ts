/** Where things stand in the sources of a configuration. */
import type { Position } from '../core/errors.ts'

/** One text a configuration is read from. */
export interface Source {
  /** What the user calls it: a path, or the option it was given with. */
  readonly name: string
  readonly text: string
  /** Its turn among the sources. */
  readonly order: number
}

/** A stretch of a source: from `start` to before `end`. */
export interface Place {
  readonly source: Source
  readonly start: number
  readonly end: number
}

/** Line and column of a place, counted from 1. */
export function positionOf(place: Place): Position {
  const { text, name } = place.source
  const start = Math.min(place.start, text.length)
  let line = 1
  let from = 0
  for (let at = text.indexOf('\n'); at >= 0 && at < start; at = text.indexOf('\n', from)) {
    line++
    from = at + 1
  }
  return { file: name, line, column: start - from + 1 }
}

/** Orders places as a reader meets them. */
export function comparePlaces(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return a.source.order - b.source.order || a.start - b.start
}
