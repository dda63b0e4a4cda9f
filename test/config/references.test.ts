import * as z from 'zod'
import { expect, test } from 'vitest'
import { Capability } from '../../core/capability.ts'
import { defineExtension, defineProcessor } from '../../core/component.ts'
import { around, errorsOf, toys } from './toys.ts'

const key = new Capability('key')
const disks = new Capability('disk')
const id = z.string().meta({ reference: key }).describe('Id of an extension.')

/** A processor that names extensions in every way a schema can have it. */
const using = defineProcessor({
  type: 'using',
  stability: 'alpha',
  summary: 'A toy.',
  signals: ['traces', 'metrics', 'logs'],
  examples: [],
  hold: 'none',
  config: z.strictObject({
    auth: z.strictObject({ authenticator: id }).nullish(),
    storage: id.nullish(),
    disk: z.string().meta({ reference: disks }).optional(),
    middlewares: z.array(z.strictObject({ id })).default([]),
    either: z.union([z.array(z.strictObject({ id })), z.record(z.string(), id)]).optional(),
  }),
  create: () => source => source,
})
const other = defineExtension({
  type: 'other',
  stability: 'alpha',
  summary: 'A toy.',
  signals: [],
  examples: [],
  offers: [key],
  config: z.strictObject({ next: id.optional() }),
  create: () => ({}),
})
const health = defineExtension({
  type: 'health_check',
  stability: 'alpha',
  summary: 'A toy.',
  signals: [],
  examples: [],
  offers: [key],
  config: z.strictObject({}),
  create: () => ({}),
})
/** Offers one of two things. */
const either = defineExtension({
  type: 'either',
  stability: 'alpha',
  summary: 'A toy.',
  signals: [],
  examples: [],
  offers: [key, disks],
  offersAs: ({ opens }) => [opens ? key : disks],
  config: z.strictObject({ opens: z.boolean() }),
  create: () => ({}),
})
const disk = defineExtension({
  type: 'disk',
  stability: 'alpha',
  summary: 'A toy.',
  signals: [],
  examples: [],
  offers: [disks],
  config: z.strictObject({}),
  create: () => ({}),
})

const errors = (config: string, more = '') =>
  errorsOf(
    `${around(`processors: {using: ${config}}\nextensions: {health_check: , disk: , other: ${more}, either: {opens: true}}`)}\nservice::extensions: [health_check, disk, either]`,
    {
      components: [...toys.filter(({ type }) => type !== health.type), health, using, other, disk, either],
      env: { A: 'health_check' },
    },
  )

test.each([
  ['an extension that is started', '{auth: {authenticator: health_check}}'],
  ['in lists and sections', '{middlewares: [{id: health_check}], either: {a: health_check}}'],
  ['by a variable', '{storage: "${env:A}"}'],
  ['with blanks around it', '{storage: " health_check "}'],
  ['nothing', '{auth: , storage: }'],
  ['what offers what is asked for', '{disk: disk}'],
  ['what offers it as it is configured', '{storage: either}'],
])('%s may be named', (_, config) => {
  expect(errors(config)).toEqual([])
})

test.each([
  [
    'one that is not configured',
    '{auth: {authenticator: healthcheck}}',
    '4:44 processors::using::auth::authenticator: references extension `healthcheck` which is not configured (did you mean `health_check`?)',
  ],
  [
    'one that is not started',
    '{storage: other}',
    '4:31 processors::using::storage: the extension `other` is configured but not started (name it in `service::extensions`)',
  ],
  [
    'one in a list',
    '{middlewares: [{id: health_check}, {id: nope}]}',
    '4:61 processors::using::middlewares[1]::id: references extension `nope` which is not configured (configured: `health_check`, `disk`, `other`, `either`)',
  ],
  [
    'one of several forms',
    '{either: [{id: nope}]}',
    '4:36 processors::using::either[0]::id: references extension `nope` which is not configured (configured: `health_check`, `disk`, `other`, `either`)',
  ],
  [
    'one that does not offer what is asked for',
    '{disk: health_check}',
    '4:28 processors::using::disk: the extension `health_check` is no disk (write `disk`)',
  ],
  [
    'one that does not offer it as it is configured',
    '{disk: either}',
    '4:28 processors::using::disk: the extension `either` is no disk as it is configured (write `disk`)',
  ],
  ['what is no id', '{storage: a/}', '4:31 processors::using::storage: in the id `a/` the part after `/` is empty'],
])('%s is an error', (_, config, message) => {
  expect(errors(config)).toEqual([message])
})

test('extensions may name extensions', () => {
  expect(errors('{}', '{next: nope}')).toEqual([
    expect.stringContaining('extensions::other::next: references extension'),
  ])
})
