import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { around, errorsOf, load, warningsOf } from './toys.ts'

/** What a value of an untyped, a text, a number or a truth field becomes. */
function valueOf(field: 'untyped' | 'text' | 'int' | 'bool' | 'float' | 'duration', yaml: string, env = {}): unknown {
  const sections = {
    untyped: `processors: {any: {it: ${yaml}}}`,
    text: `exporters: {otlp_grpc: {endpoint: ${yaml}}, debug: }`,
    int: `processors: {batch: {send_batch_size: ${yaml}}}`,
    duration: `processors: {batch: {timeout: ${yaml}}}`,
    bool: `processors: {tail_sampling: {on: ${yaml}}}`,
    float: `processors: {tail_sampling: {ratio: ${yaml}}}`,
  }
  const { configured } = load(around(sections[field]), { env })
  const at = (id: string) => (configured.processors.get(id) ?? configured.exporters.get(id))?.config
  const config: unknown = {
    untyped: at('any'),
    text: at('otlp_grpc'),
    int: at('batch'),
    duration: at('batch'),
    bool: at('tail_sampling'),
    float: at('tail_sampling'),
  }[field]
  const key = {
    untyped: 'it',
    text: 'endpoint',
    int: 'send_batch_size',
    duration: 'timeout',
    bool: 'on',
    float: 'ratio',
  }[field]
  return (config as Record<string, unknown>)[key]
}

const errorOf = (field: 'untyped' | 'text' | 'int' | 'bool', yaml: string, env = {}): string => {
  const sections = {
    untyped: `processors: {any: {it: ${yaml}}}`,
    text: `exporters: {otlp_grpc: {endpoint: ${yaml}}, debug: }`,
    int: `processors: {batch: {send_batch_size: ${yaml}}}`,
    bool: `processors: {tail_sampling: {on: ${yaml}}}`,
  }
  return errorsOf(around(sections[field]), { env }).join('\n')
}

test.each([
  ['a number in an int field is a number', 'int', '3', 3],
  ['an octal number in an int field is read as octal', 'int', '0123', 83],
  ['a hexadecimal number in an int field is read as such', 'int', '0xdeadbeef', 3_735_928_559],
  ['a number with underscores in an int field is a number', 'int', '1_000', 1000],
  ['a fraction in an int field is truncated', 'int', '2.9', 2],
  ['an empty variable in an int field is 0', 'int', '', 0],
  ['a text field keeps leading zeros', 'text', '0123', '0123'],
  ['a text field keeps the form of a hexadecimal number', 'text', '0xdeadbeef', '0xdeadbeef'],
  ['a text field keeps an exponent', 'text', '1e3', '1e3'],
  ['a text field keeps a fraction that is whole', 'text', '5.0', '5.0'],
  ['a text field keeps digits that no number holds', 'text', '1.10000000000000000001', '1.10000000000000000001'],
  ['a text field keeps the word null', 'text', 'null', 'null'],
  ['a text field keeps the word true', 'text', 'true', 'true'],
  ['a text field keeps padding', 'text', ' x ', ' x '],
  ['a text field keeps what looks like a comment', 'text', 'abc # comment', 'abc # comment'],
  ['a text field keeps a text that is only a comment', 'text', '# c', '# c'],
  ['a text field keeps quotes', 'text', '"0123"', '"0123"'],
  ['a text field keeps the text of a list', 'text', '[a, b]', '[a, b]'],
  ['a text field keeps the text of a section', 'text', '{k: v}', '{k: v}'],
  ['a text field keeps line breaks', 'text', 'a\nb', 'a\nb'],
  ['an octal number in an untyped field is a number', 'untyped', '0123', 83],
  ['an exponent in an untyped field is a number', 'untyped', '1e3', 1000],
  ['a binary number in an untyped field is a number', 'untyped', '0b11', 3],
  ['quotes in an untyped field stay', 'untyped', '"0123"', '"0123"'],
  ['the word yes is no truth value', 'untyped', 'yes', 'yes'],
  ['the word true in an untyped field is a truth value', 'untyped', 'true', true],
  ['a list as a whole value is a list', 'untyped', '[a, b]', ['a', 'b']],
  ['a section as a whole value is a section', 'untyped', '{k: v}', { k: 'v' }],
  ['an empty variable is null', 'untyped', '', null],
  ['what is not YAML is a text', 'untyped', '[a, b', '[a, b'],
  ['what looks like an alias is a text', 'untyped', '*x', '*x'],
  ['a double dollar in a variable is a dollar', 'untyped', 'a$$b', 'a$b'],
  ['an escaped reference in a variable stays a reference', 'untyped', '$${env:B}', '${env:B}'],
  ['true in a truth field is true', 'bool', 'true', true],
  ['a comment after a value does not matter', 'bool', 'true # with ${env:not.a.name}', true],
  ['a number in a number field is a number', 'float', '0.25', 0.25],
  ['a duration with padding is a duration', 'duration', ' 5s ', 5000],
  ['a bare number as a duration is nanoseconds', 'duration', '5000000', 5],
] as const)('%s', (_, field, value, expected) => {
  for (const quote of ['"', "'"]) expect(valueOf(field, `${quote}\${env:A}${quote}`, { A: value })).toEqual(expected)
  // The same through a second variable.
  expect(valueOf(field, '"${env:B}"', { A: value, B: '${env:A}' })).toEqual(expected)
})

test.each([
  ['a variable without a scheme', '"${A}"', { A: '3' }, 3],
  ['a variable inside a text', '"x-${env:A}-y"', { A: '0123' }, 'x-0123-y'],
  ['a variable with a fraction inside a text', '"v${env:A}"', { A: '5.0' }, 'v5.0'],
  ['two variables in a row', '"${env:A}${env:A}"', { A: '1' }, '11'],
  ['a list inside a text', '"x${env:A}"', { A: '[a]' }, 'x[a]'],
  ['an unset variable inside a text', '"x${env:A}"', {}, 'x'],
  ['a default', '"${env:A:-dflt}"', {}, 'dflt'],
  ['a default is typed', '"${env:A:-03}"', {}, 3],
  ['an empty default', '"${env:A:-}"', {}, ''],
  ['a default is not used for a variable that is set', '"${env:A:-x}"', { A: 'y' }, 'y'],
  ['a default is not used for a variable that is empty', '"${env:A:-x}"', { A: '' }, null],
  ['a default with a reference', '"${env:A:-${env:B}}"', { B: '03' }, 3],
  ['a default with a brace', "'${env:A:-{a: 1}}'", {}, '{a: 1}'],
  ['a name made of a variable', '"${env:${env:A}}"', { A: 'B', B: '3' }, 3],
  ['a dollar and its double', '"a$$b"', {}, 'a$b'],
  ['three dollars', '"$$$"', {}, '$$'],
  ['an escaped reference', '"$${env:A}"', { A: '1' }, '${env:A}'],
  ['a dollar and a value', '"$$${env:A}"', { A: '1' }, '$1'],
  ['four dollars and a reference', '"$$$${env:A}"', { A: '1' }, '$${env:A}'],
  ['only the reference after the odd run is escaped', '"$${env:A} ${env:A}"', { A: '1' }, '${env:A} 1'],
  ['a dollar without braces', '"$A"', { A: '1' }, '$A'],
  ['a group of a regular expression', '"$1-$$2"', {}, '$1-$2'],
  ['a reference that is not closed', '"${env:A"', { A: '1' }, '${env:A'],
  ['a stray closing brace', '"a}${env:A}"', { A: '1' }, 'a}1'],
  ['a variable of a section', '"${env:A}"', { A: '{b: "${env:B}"}', B: '03' }, { b: 3 }],
  ['a variable of a text with a reference', '"${env:A}"', { A: 'a ${env:B}', B: '03' }, 'a 03'],
  ['YAML written in place', '"${yaml:[1, 2]}"', {}, [1, 2]],
  ['values in lists', '["${env:A}", {x: "${env:A}"}]', { A: '1' }, [1, { x: 1 }]],
])('%s is expanded as the Collector does it', (_, yaml, env, expected) => {
  expect(valueOf('untyped', yaml, env)).toEqual(expected)
})

test('an empty default is an empty text in a text field', () => {
  expect(errorOf('text', '"${env:A:-}"')).toContain('exporters::otlp_grpc::endpoint: must not be empty')
})

test('keys are not expanded', () => {
  expect(valueOf('untyped', '{"${env:A}": 1}', { A: 'x' })).toEqual({ '${env:A}': 1 })
})

test('a file is read into a value, and keeps its text in a text field', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  try {
    writeFileSync(join(folder, 'a.yaml'), 'x: [1, "${env:A}"]\n')
    writeFileSync(join(folder, 'token'), '0123')
    expect(valueOf('untyped', `"\${file:${join(folder, 'a.yaml')}}"`, { A: '2' })).toEqual({ x: [1, 2] })
    expect(valueOf('text', `"\${file:${join(folder, 'token')}}"`)).toBe('0123')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([
  [
    'a letter in a truth field',
    'bool',
    '"${env:A}"',
    { A: 't' },
    'expected `true` or `false`, got `${env:A}`, which stands for a text',
  ],
  [
    'a number in a truth field',
    'bool',
    '"${env:A}"',
    { A: '23' },
    'expected `true` or `false`, got `${env:A}`, which stands for a number',
  ],
  [
    'a text in an int field',
    'int',
    '"${env:A}"',
    { A: 'x' },
    'expected a whole number, got `${env:A}`, which stands for a text',
  ],
  [
    'a quoted number in an int field',
    'int',
    '"${env:A}"',
    { A: '"3"' },
    'expected a whole number, got `${env:A}`, which stands for a text',
  ],
  [
    'a number inside a text in an int field',
    'int',
    '"1${env:A}"',
    { A: '3' },
    'got `1${env:A}`, which stands for a text',
  ],
  [
    'two numbers in an int field',
    'int',
    '"${env:A}${env:A}"',
    { A: '3' },
    'expected a whole number, got `${env:A}${env:A}`, which stands for a text',
  ],
  ['a number in a text field', 'text', '5', {}, 'expected a text, got the number `5` (put it in quotes: `"5"`)'],
  ['a bad reference in a comment, in a text field', 'text', '"${A}"', { A: 'true # ${a.b}' }, 'expected a text'],
  ['a name that is none', 'untyped', '"${env:a.b}"', {}, 'has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'],
  ['an empty name', 'untyped', '"${}"', {}, 'has invalid name'],
  ['a number as a name', 'untyped', '"${1}"', {}, 'for a literal `${` write `$${`'],
  ['a dollar in a reference', 'untyped', '"${env:A$B}"', {}, 'has a `$` in it'],
  ['a scheme that is none', 'untyped', '"${foo:x}"', {}, 'the scheme `foo:` is not supported'],
  ['a misspelt scheme', 'untyped', '"${fil:x}"', {}, 'did you mean `file:`?'],
  ['a default without the scheme', 'untyped', '"${AB:-x}"', {}, 'for a default write `${env:AB:-x}`'],
  ['an address of the web', 'untyped', '"${https://x/y}"', {}, 'not fetched over https yet'],
  ['a file that is not there', 'untyped', '"${file:/nowhere/at/all}"', {}, 'there is no such file'],
  ['a circle of one', 'untyped', '"${env:A}"', { A: '${env:A}' }, 'too many recursive expansions'],
  [
    'a circle of two',
    'untyped',
    '"x${env:A}"',
    { A: '${env:B}', B: '[${env:A}]' },
    '${env:A} -> x${env:A} -> ${env:A}',
  ],
  ['a circle in a default', 'untyped', '"${env:A}"', { A: '${env:B:-${env:A}}' }, 'leads back to itself'],
] as const)('%s is an error', (_, field, yaml, env, message) => {
  expect(errorOf(field, yaml, env)).toContain(message)
})

test('text that doubles with every variable stops at a limit', () => {
  const env = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`A${i}`, `\${A${i + 1}}\${A${i + 1}}`]))
  expect(errorOf('untyped', '"${A0}"', { ...env, A40: 'x' })).toMatch(/references have to be followed|too much text/)
})

test('an error of a reference points at the reference, and nothing more is said of the value', () => {
  const text = around('processors:\n  batch:\n    send_batch_size: "1 ${env:A} ${foo:x}"')
  expect(errorsOf(text, { env: { A: '1' } })).toEqual([
    '6:34 `${foo:x}`: the scheme `foo:` is not supported (use one of `env:`, `file:`, `yaml:`; for a literal `${` write `$${`)',
  ])
})

test('a fault inside what a variable holds points at the reference', () => {
  const text = around('processors:\n  batch: ${env:B}')
  expect(errorsOf(text, { env: { B: '{timeot: 5s}' } })).toEqual([
    '5:10 processors::batch: unknown key `timeot` (did you mean `timeout`?)',
  ])
})

test('an unset or empty variable is warned of, once for each place', () => {
  const text = around(
    'processors:\n  any: {a: "${env:A}", b: "${env:A:-x}", c: "${env:E}"}',
    'receivers: [otlp], processors: [any], exporters: [debug]',
  )
  expect(warningsOf(text, { env: { E: '' } })).toEqual([
    '5:13 the environment variable `A` is not set: empty here (set it, or give a default: `${env:A:-default}`)',
    '5:46 the environment variable `E` is set, but empty (set it, or give a default: `${env:E:-default}`)',
  ])
})
