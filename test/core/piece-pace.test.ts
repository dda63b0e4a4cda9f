import { expect, test } from 'vitest'
import { PiecePace } from '../../core/piece-pace.ts'
import { pieceLimits } from '../../proto/gathering.ts'
import { piecesOf } from '../../proto/pieces.ts'
import { readRequest } from '../../proto/request.ts'
import { Budget } from '../../core/budget.ts'
import { PaidMemory } from '../../core/paid-memory.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

/** Sizes of the pieces of a request where each item takes so many milliseconds. */
function sizes(each: number, spans: number, groups: number): number[] {
  const budget = new Budget(1e9)
  const all = Array.from({ length: groups }, () => ({ namespace: 'a', spans: names('span', spans / groups) }))
  const request = readRequest('traces', tracesRequest(all), budget)
  const pace = new PiecePace()
  const made: number[] = []
  for (const piece of piecesOf('traces', request.groups, new PaidMemory(budget), pace)) {
    if (piece === undefined) continue
    made.push(piece.items)
    pace.took(piece.items * each)
  }
  return made
}

test.each([1, 20_000])('pieces of %i groups grow where little is done to an item, and shrink where much is', groups => {
  const quick = sizes(0.0001, 20_000, groups)
  expect(quick.slice(0, 4)).toEqual([512, 1024, 2048, 2048])
  expect(Math.max(...quick)).toBe(pieceLimits.items)
  const slow = sizes(0.03, 20_000, groups)
  expect(slow.slice(0, 3)).toEqual([512, 256, 256])
  const slowest = sizes(5, 20_000, groups)
  expect(slowest.slice(0, 4)).toEqual([512, 256, 128, 128])
  for (const all of [quick, slow, slowest]) expect(all.reduce((sum, one) => sum + one, 0)).toBe(20_000)
})
