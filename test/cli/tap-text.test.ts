import { expect, test } from 'vitest'
import { changedLines, noteText, TapText } from '../../cli/tap-text.ts'
import type { TapItemDocument } from '../../service/tap-stream.ts'

test.each<[string, string[], string[], string[]]>([
  ['nothing', ['a', 'b'], ['a', 'b'], []],
  ['one that is new', ['a', 'b'], ['a', 'x', 'b'], ['+ x']],
  ['one that is gone', ['a', 'x', 'b'], ['a', 'b'], ['- x']],
  ['one that is another', ['a', 'x', 'b'], ['a', 'y', 'b'], ['- x', '+ y']],
  ['a line that stands twice', ['a', 'a'], ['a'], ['- a']],
  ['all', ['a'], ['b', 'c'], ['- a', '+ b', '+ c']],
  ['more lines than are compared', Array(501).fill('a'), ['a'], [...Array(501).fill('- a'), '+ a']],
])('lines that changed: %s', (_, before, after, lines) => {
  expect(changedLines(before, after).map(line => line.trim())).toEqual(lines)
})

const item = (name: string, more: Partial<TapItemDocument> = {}): TapItemDocument => ({
  time: '2026-12-01T11:00:00.000Z',
  kind: 'processor',
  component: 'resource',
  pipeline: 'traces',
  signal: 'traces',
  side: 'out',
  request: { resourceSpans: [{ scopeSpans: [{ spans: [{ name }] }] }] },
  ...more,
})

test('an item is a few lines, without what a terminal would obey', () => {
  const text = new TapText().of(item('a\u001b[31mb', { came_out: 0, cut_from_bytes: 102_400 }))
  expect(text).toMatch(
    /^\S.* processor resource out, pipeline traces; nothing of its batch came out at once: dropped, or kept for later; cut, it is 100 KiB\n/,
  )
  expect(text).toMatch(/\n {2}ResourceSpans #0\n {2}ScopeSpans #0\n {2}a.\[31mb\n$/)
  expect(text).not.toContain('\u001b')
})

test('what cannot be read is told', () => {
  expect(new TapText().of({ ...item(''), request: undefined as never, unreadable: 'varint over ten bytes' })).toContain(
    '<malformed: varint over ten bytes>',
  )
})

test('a pair is what changed; one without the other is not told', () => {
  const text = new TapText()
  expect(text.of(item('a', { side: 'in', pair: 1 }))).toBe('')
  const told = text.of(item('b', { pair: 1 }))
  expect(told).toMatch(/^\S.* processor resource changes, pipeline traces\n/)
  expect(told).toMatch(/ {4}- name: a\n {4}\+ name: b\n$/)
  text.of(item('a', { side: 'in', pair: 2 }))
  expect(text.of(item('a', { pair: 2 }))).toContain('changes nothing')
  text.of(item('a', { side: 'in', pair: 3 }))
  expect(text.of(item('c', { side: 'in', pair: 4 }))).toBe('')
})

test('notes are told in words', () => {
  const time = ''
  expect(noteText({ note: 'not_shown', not_shown: 37, time })).toBe('... 37 not shown: they were not read in time\n')
  expect(
    noteText({ note: 'ended', message: 'its time is over', shown: 3, items: 50, batches: 5, looked_at: 4, time }),
  ).toBe('its time is over: 3 shown; 50 items passed in 5 batches, of which 4 were looked at\n')
  expect(noteText({ note: 'tapping', at: [], time })).toBe('looking at nothing: no such data goes there\n')
})
