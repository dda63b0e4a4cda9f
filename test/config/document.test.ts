import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { everyNode, plainOf, readDocument } from '../../config/document.ts'
import { positionOf, type SourceText } from '../../config/place.ts'
import { Report } from '../../config/report.ts'

function read(text: string) {
  const report = new Report()
  const source: SourceText = { name: 'a.yaml', text, order: 0 }
  const node = readDocument(source, report)
  const lineOf = ({ position, message }: ReturnType<Report['errors']>[number]) =>
    `${position?.line}:${position?.column} ${message}`
  return { node, errors: report.errors([]).map(lineOf), warnings: report.warnings([]).map(lineOf) }
}

test.each([
  ['yes', 'yes'],
  ['on', 'on'],
  ['True', true],
  ['FALSE', false],
  ['~', null],
  ['Null', null],
  ['', null],
  ['0123', 83],
  ['-010', -8],
  ['089', 89],
  ['0', 0],
  ['0xdeadbeef', 3_735_928_559],
  ['0o17', 15],
  ['0b11', 3],
  ['1_000', 1000],
  ['+12', 12],
  ['1e3', 1000],
  ['.5', 0.5],
  ['1:30', '1:30'],
  ['2024-01-01', '2024-01-01'],
  ['1.2.3', '1.2.3'],
  ['!!str 123', '123'],
  ['"0123"', '0123'],
  ["'true'", 'true'],
])('the scalar `%s` is %j', (text, expected) => {
  expect(plainOf(read(`a: ${text}`).node)).toEqual({ a: expected })
})

test('a directive does not bring the truth values of YAML 1.1 back', () => {
  expect(plainOf(read('%YAML 1.1\n---\na: yes\n').node)).toEqual({ a: 'yes' })
})

test.each([
  ['a: 1\n---\na: 2\n--- }\n', '2:1'],
  ['---\na: 1\n--- {a: 2}\n', '3:1'],
  ['a: 1\n---\n# nothing\n---\n\nb: 1\n', '4:1'],
])('only the first document is read, and the next is warned of where it begins: %j', (text, at) => {
  const { node, errors, warnings } = read(text)
  expect(plainOf(node)).toEqual({ a: 1 })
  expect(errors).toEqual([])
  expect(warnings).toEqual([expect.stringContaining(`${at} a second document begins here, and is not read`)])
})

test.each(['---\na: 1\n---\n', 'a: 1\n...\n', 'a: 1\n---\n# nothing\n'])(
  'what has nothing in it is no second document: %j',
  text => {
    expect(read(text)).toMatchObject({ errors: [], warnings: [] })
  },
)

test('an empty text has no document', () => {
  expect(read('')).toEqual({ node: undefined, errors: [], warnings: [] })
  expect(read('# only a comment\n').node).toBeUndefined()
})

test('anchors are followed, and merge keys filled in behind what stands beside them', () => {
  const text = 'base: &b {x: 1, y: {z: 2}}\nmore: &m {x: 5, w: 6}\na: *b\nc: {<<: *b, x: 3}\nd: {<<: [*b, *m]}\n'
  expect(plainOf(read(text).node)).toMatchObject({
    a: { x: 1, y: { z: 2 } },
    c: { x: 3, y: { z: 2 } },
    d: { x: 1, w: 6 },
  })
})

test('a key that is a name of objects is a key like any other', () => {
  const plain = plainOf(read('__proto__: {polluted: true}\nconstructor: 1').node)
  expect(Object.keys(plain as object)).toEqual(['__proto__', 'constructor'])
  expect({}).not.toHaveProperty('polluted')
})

test('keys that are numbers are texts as they are written', () => {
  const keys = { 3: 'a', '0x10': 'b', true: 'c', '5.0': 'd', '1e3': 'e', '1_0': 'f' }
  const text = Object.entries(keys).map(([key, value]) => `${key}: ${value}\n`)
  expect(plainOf(read(text.join('')).node)).toEqual(keys)
})

test.each([
  ['a key twice', 'a: 1\nb: 2\na: 3', ['3:1 the key `a` stands twice in one section']],
  ['a tab as indentation', 'a:\n\tb: 1', ['2:1 tabs are not allowed as indentation']],
  ['a nested key on one line', 'a: b: c', ['1:4 nested mappings are not allowed in compact mappings']],
  ['an alias without an anchor', 'a: *b', ['1:4 the alias `*b` names no anchor above it']],
  ['an alias of what it stands in', 'a: &x {b: *x}', ['1:11 the alias `*x` stands inside what it names']],
  ['a merge of a single value', 'a: {<<: 3}', ['1:9 `<<` takes a section, or a list of them']],
  ['a list as a key', '? [a]\n: 1', ['1:3 a key must be a single word']],
])('%s is an error with its place', (_, text, errors) => {
  expect(read(text).errors).toEqual(errors)
})

test('all faults of a text are told, each with its place', () => {
  expect(read('a: b: c\nd: &x\n\te: f\ng: "x\n').errors.length).toBeGreaterThanOrEqual(3)
})

test('where the parser has lost its way, what follows is not told', () => {
  expect(read('a: 1\n}\nb: 2\nc: 3\nd: [\n').errors).toEqual(['2:1 unexpected flow-map-end in this place'])
})

test('aliases that unfold to billions of values are refused at once', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  const started = performance.now()
  expect(read(lines.join('\n')).errors).toEqual(['1:1 the aliases of this document unfold to too many values'])
  expect(performance.now() - started).toBeLessThan(2000)
})

test('every value knows where it stands, in both styles', () => {
  const text = 'a:\n  b: [one, {c: two}]\n  d: "three"\n'
  const places: [unknown, number, number][] = []
  for (const node of everyNode(read(text).node)) {
    const { line, column } = positionOf(node.place)
    if (node.kind === 'scalar') places.push([node.value, line, column])
  }
  expect(places).toEqual([
    ['one', 2, 7],
    ['two', 2, 16],
    ['three', 3, 6],
  ])
})

test('any plain values survive being written and read', () => {
  const key = fc.string({ minLength: 1, maxLength: 8 }).filter(text => text !== '<<')
  const leaf = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.integer(),
    // Whole numbers that a double cannot hold exactly come back with all their digits, as another type.
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map(n => n + 0)
      .filter(n => !Number.isInteger(n) || Number.isSafeInteger(n) || Math.abs(n) >= 1e21),
    fc.boolean(),
    fc.constant(null),
  )
  const { tree } = fc.letrec<{ tree: unknown }>(tie => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }))
  fc.assert(
    fc.property(tree, value => {
      // Quoted, since the words of YAML 1.1 numbers are numbers here and not to the writer.
      const text = stringify({ value }, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'QUOTE_DOUBLE' })
      expect(read(text).errors).toEqual([])
      expect(plainOf(read(text).node)).toEqual({ value })
    }),
    { numRuns: 150 },
  )
})

test('random text is read or refused with a place, never more', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'ab:-{}[]&*#"\'|>!%@`,? \n\t<$0'.split('')), maxLength: 40 }),
      text => {
        const { node, errors } = read(text)
        for (const error of errors) expect(error).toMatch(/^\d+:\d+ \S/)
        if (node !== undefined) plainOf(node)
      },
    ),
    { numRuns: 500 },
  )
})
