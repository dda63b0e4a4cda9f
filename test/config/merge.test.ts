import { expect, test } from 'vitest'
import { around, errorsOf, load, warningsOf } from './toys.ts'

const base = around(
  'processors: {any: {a: 1, list: [1, 2], deep: {x: 1, y: 2}}}',
  'receivers: [otlp], processors: [any], exporters: [debug]',
)

test.each([
  [
    'sections merge deeply',
    ['processors: {any: {deep: {y: 3, z: 4}}}'],
    { a: 1, list: [1, 2], deep: { x: 1, y: 3, z: 4 } },
  ],
  ['lists are replaced', ['processors: {any: {list: [3]}}'], { a: 1, list: [3], deep: { x: 1, y: 2 } }],
  ['single values are replaced', ['processors: {any: {a: b}}'], { a: 'b', list: [1, 2], deep: { x: 1, y: 2 } }],
  ['a value replaces a section', ['processors: {any: {deep: 1}}'], { a: 1, list: [1, 2], deep: 1 }],
  [
    'a section replaces a value',
    ['processors: {any: {a: {b: 1}}}'],
    { a: { b: 1 }, list: [1, 2], deep: { x: 1, y: 2 } },
  ],
  ['an empty section keeps what was there', ['processors: {any: {}}'], { a: 1, list: [1, 2], deep: { x: 1, y: 2 } }],
  ['an empty document changes nothing', [''], { a: 1, list: [1, 2], deep: { x: 1, y: 2 } }],
  ['a null erases a section', ['processors: {any: {deep: }}'], { a: 1, list: [1, 2], deep: null }],
  ['a null component has its defaults', ['processors: {any: }'], {}],
  ['a key with `::` is nested', ['processors::any::a: 2'], { a: 2, list: [1, 2], deep: { x: 1, y: 2 } }],
  [
    'a key with `::` deep down is nested',
    ['processors: {any: {"deep::x": 2}}'],
    { a: 1, list: [1, 2], deep: { x: 2, y: 2 } },
  ],
  [
    'the last of three wins',
    ['processors::any::a: 2', 'processors::any::a: 3'],
    { a: 3, list: [1, 2], deep: { x: 1, y: 2 } },
  ],
])('%s', (_, later, expected) => {
  expect(load([base, ...later]).configured.processors.get('any')?.config).toEqual(expected)
})

test.each([
  ['replaces a value', ['processors.any.a=2'], { a: 2 }],
  ['is typed as YAML is', ['processors.any.a=0x10'], { a: 16 }],
  ['takes a section', ['processors.any.deep={x: 5}'], { deep: { x: 5, y: 2 } }],
  ['takes `::` as well as dots', ['processors::any::a=2'], { a: 2 }],
  ['trims blanks', [' processors.any.a = 2 '], { a: 2 }],
  ['keeps what follows the first equal sign', ['processors.any.a=b=c'], { a: 'b=c' }],
  ['may be a reference', ['processors.any.a=${env:A}'], { a: 7 }],
  ['wins over what was set before', ['processors.any.a=2', 'processors.any.a=3'], { a: 3 }],
])('a --set value %s', (_, sets, expected) => {
  expect(load(base, { sets, env: { A: '7' } }).configured.processors.get('any')?.config).toMatchObject(expected)
})

test('a --set value without an equal sign is an error', () => {
  expect(errorsOf(base, { sets: ['processors.any'] })).toEqual([
    '`--set processors.any` has no `=` (write `--set key.of.the.value=value`)',
  ])
})

test('an error in a --set value names the option', () => {
  expect(() => load(base, { sets: ['exporters.debug.verbosity=ful'] })).toThrow(
    expect.objectContaining({
      errors: [expect.objectContaining({ position: { file: '--set exporters.debug.verbosity', line: 1, column: 30 } })],
    }),
  )
})

test('an empty section that erases an earlier one is warned of', () => {
  expect(warningsOf([base, 'processors:\n  any:\n    deep:\n'])).toEqual([
    '3:5 `processors::any::deep` is empty here and erases what --config[0] says of it (write `deep: {}` to keep it, or leave the key out)',
  ])
})

test('a null that erases nothing is not warned of', () => {
  expect(warningsOf([base, 'exporters: {debug: }\nreceivers: {otlp: {protocols: {grpc: }}}'])).toEqual([])
})

test('the same value in both forms is an error', () => {
  expect(errorsOf('processors:\n  any:\n    deep: {x: 1}\n    deep::x: 2\n')).toEqual([
    '4:5 `deep::x` is given twice, once with `::` in its key',
  ])
})

test('both forms of different values join', () => {
  const text = around('processors: {any: {deep: {x: 1}, "deep::y": 2}}')
  expect(load(text).configured.processors.get('any')?.config).toEqual({ deep: { x: 1, y: 2 } })
})

test('errors point into the source that a value came from', () => {
  expect(() => load([base, '\nexporters: {debug: {verbosity: ful}}'])).toThrow(
    expect.objectContaining({
      errors: [expect.objectContaining({ position: { file: '--config[1]', line: 2, column: 32 } })],
    }),
  )
})
