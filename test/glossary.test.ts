/** One noun, one meaning: names of exported types, and docs/glossary.md. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const folders =
  'proto core backends net telemetry receivers processors exporters connectors extensions config plan pipelines service cli'

/** The files that export a type, by its name. */
const types = new Map<string, string[]>()
for (const folder of folders.split(' ')) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
    const path = join(entry.parentPath, entry.name)
    for (const [, name] of readFileSync(path, 'utf8').matchAll(
      /^export (?:abstract )?(?:class|interface|type|enum) (\w+)/gm,
    ))
      types.set(name, [...(types.get(name) ?? []), path.slice(root.length + 1)])
  }
}

const page = readFileSync(join(root, 'docs/glossary.md'), 'utf8')
const rows = [...page.matchAll(/^\| (\w+) \| (.+?) \|(?: (\S+) \|)?$/gm)].filter(
  ([, word]) => !['Noun', 'Ending'].includes(word),
)
const endings = rows.filter(([, , , file]) => file === undefined).map(([, word]) => word)

/** Names that still stand for several things: each is to go, none is to come. */
const debts = [
  'Address Allowance Answered Backlog Backoff Buckets Destination Group Intake Label LogFields NoRoom NoRoomError',
  'Outcome PageSource Part Parts Place Plan Reason Refusal Room Series Share Source Step Stream Table Target Way',
].flatMap(line => line.split(' '))

test('no two exported types share a name', () => {
  const shared = [...types].filter(([, files]) => files.length > 1).map(([name]) => name)
  expect(shared.filter(name => !debts.includes(name))).toEqual([])
  // What has been told apart leaves the list.
  expect(debts.filter(name => !shared.includes(name))).toEqual([])
})

test('a noun of the glossary is the type of the file that it names', () => {
  const nouns = rows.filter(([, , , file]) => file !== undefined)
  expect(nouns.length).toBeGreaterThan(20)
  expect(nouns.filter(([, word, , file]) => types.get(word)?.includes(file) !== true).map(([row]) => row)).toEqual([])
})

test('a word stands in the glossary once', () => {
  const words = rows.map(([, word]) => word)
  expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([])
})

test('a word that ends the names of four types or more is in the glossary, and one that ends none is not', () => {
  const counts = new Map<string, number>()
  for (const name of types.keys()) {
    const last = name.match(/[A-Z][a-z0-9]*|[A-Z]+(?![a-z])/g)?.at(-1) ?? name
    counts.set(last, (counts.get(last) ?? 0) + 1)
  }
  const known = rows.map(([, word]) => word)
  expect([...counts].filter(([word, count]) => count > 3 && !known.includes(word)).map(([word]) => word)).toEqual([])
  expect(endings.filter(word => !counts.has(word))).toEqual([])
})
