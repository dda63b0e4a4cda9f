/** What extensions declare that they offer, what they do offer, and who may name them. */
import { expect, test } from 'vitest'
import { components } from './support/components.ts'
import type { Capability } from '../core/capability.ts'
import { extensionOf } from './support/extending.ts'
import { options } from './support/options.ts'

const extensions = components.filter(definition => definition.kind === 'extension')
const configured = extensions.flatMap(definition =>
  definition.examples.map(
    ({ title, config }) => [`${definition.type}: ${title}`, definition, config as object] as const,
  ),
)

test.each(configured)('%s: it offers what it declares, and nothing else', (_, definition, config) => {
  const declared = definition.offersAs?.(definition.config.parse(config)) ?? definition.offers ?? []
  const { extension } = extensionOf(definition, config)
  expect((extension.offers ?? []).map(({ key }) => key)).toEqual(declared)
  for (const key of declared) expect(definition.offers).toContain(key)
})

test('an example shows each thing that an extension may offer', () => {
  const may = extensions.flatMap(({ type, offers = [] }) => offers.map(({ name }) => `${type}: ${name}`))
  const shown = configured.flatMap(([, definition, config]) =>
    (extensionOf(definition, config).extension.offers ?? []).map(({ key }) => `${definition.type}: ${key.name}`),
  )
  expect(may.length).toBeGreaterThan(5)
  expect([...new Set(shown)].toSorted()).toEqual(may.toSorted())
})

test('what a key of some component needs is offered by some extension', () => {
  const needed = components.flatMap(({ config }) =>
    options(config).flatMap(({ schema }) =>
      [schema, ...(schema.anyOf ?? [])].flatMap(one => ('reference' in one ? [one.reference as Capability] : [])),
    ),
  )
  const names = new Set(needed.map(({ name }) => name))
  const offered = new Set(extensions.flatMap(({ offers = [] }) => offers.map(({ name }) => name)))
  expect(names.size).toBeGreaterThan(2)
  expect([...names].filter(name => !offered.has(name))).toEqual([])
})
