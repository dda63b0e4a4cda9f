import { expect, test } from 'vitest'
import { type Effect, type Model, press, selectedIndex, shownRows } from '../../../cli/top/model.ts'
import { lookOf, modelOf, pipeline } from './documents.ts'

const look = lookOf(
  [{ id: 'one' }, { id: "o'$(reboot)\u001b" }],
  [pipeline('traces'), pipeline('logs', { signal: 'logs' })],
)

/** The model after these keys, and what was to be done meanwhile. */
function after(keys: readonly string[], model: Model = modelOf(look)): { model: Model; effects: Effect[] } {
  const effects: Effect[] = []
  for (const key of keys) {
    const pressed = press(model, key)
    model = pressed.model
    if (pressed.effect !== undefined) effects.push(pressed.effect)
  }
  return { model, effects }
}
const at = (model: Model) => selectedIndex(model, shownRows(model))

test.each([
  [[], 0],
  [['j'], 1],
  [['down', 'down', 'k'], 1],
  [['up'], 0],
  [['G'], 3],
  [['G', 'j'], 3],
  [['end', 'home'], 0],
  [['pagedown'], 3],
  [['G', 'pageup'], 0],
])('after %j row %i is selected', (keys, index) => {
  expect(at(after(keys).model)).toBe(index)
})

test('what is selected stays selected where it moves to, and the first is where it is gone', () => {
  const { model } = after(['j'])
  expect(at({ ...model, sort: 'name' })).toBe(0)
  expect(shownRows({ ...model, sort: 'name' })[0].id).toBe('logs')
  expect(at({ ...model, look: lookOf([{ id: 'one' }]) })).toBe(0)
})

test.each([
  ['the live data of a pipeline', ['t'], 'kymo tap traces --admin localhost:1'],
  ['its batches', ['j', 'b'], 'kymo batches --signal logs --admin localhost:1'],
  ['those of an exporter', ['j', 'j', 'b'], 'kymo batches --component one --admin localhost:1'],
  ['a name that is more than a word to a shell', ['G', 't'], `kymo tap 'o'\\''$(reboot)\\u001b' --admin localhost:1`],
])('the command for %s is told', (_, keys, said) => {
  expect(after(keys).model.said).toBe(said)
})

test('where nothing is said of the address, the command says nothing of it', () => {
  expect(after(['t'], { ...modelOf(look), admin: 'http://localhost:8888' }).model.said).toBe('kymo tap traces')
})

test('an exporter is tried once until there is an answer, a pipeline never', () => {
  expect(after(['r'])).toMatchObject({ effects: [], model: { said: expect.stringContaining('only exporters') } })
  const { model, effects } = after(['j', 'j', 'r', 'r'])
  expect(effects).toEqual([{ do: 'retry', exporter: 'one', signal: 'traces' }])
  expect(model).toMatchObject({ retrying: true, said: 'an answer is still waited for' })
})

test.each([['t'], ['b'], ['r'], ['j'], ['G']])('%s does nothing where there is nothing', key => {
  const { model, effects } = after([key], modelOf(lookOf([], [])))
  expect(effects).toEqual([])
  expect(at(model)).toBe(0)
})

test.each([
  ['letters go into the filter, those of commands, too', ['/', 'q', '?', 'x', 'backspace'], 'q?', true],
  ['enter keeps it', ['/', 'o', 'return'], 'o', false],
  ['escape ends it', ['/', 'o', 'escape'], '', false],
  ['escape ends it later, too', ['/', 'o', 'return', 'escape'], '', false],
  ['keys with names are no letters', ['/', 'up', 'pagedown'], '', true],
  ['it has an end', ['/', ...Array.from('x'.repeat(100))], 'x'.repeat(60), true],
])('filter: %s', (_, keys, filter, typing) => {
  expect(after(keys).model).toMatchObject({ filter, typing })
})

test('s goes through all sortings and comes back', () => {
  const seen = Array.from({ length: 7 }, (_, i) => after(Array.from({ length: i }, () => 's')).model.sort)
  expect(seen).toEqual([undefined, 'errors', 'rate', 'queue', 'age', 'name', undefined])
})

test.each([
  [['q'], [{ do: 'quit' }]],
  [['/', 'ctrl-c'], [{ do: 'quit' }]],
  [['?', 'ctrl-c'], [{ do: 'quit' }]],
  [['?', 'q'], []],
  [['x'], []],
])('%j quits: %j', (keys, effects) => {
  expect(after(keys).effects).toEqual(effects)
})
