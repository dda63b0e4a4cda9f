import { expect, test } from 'vitest'
import { findComponent } from '../../cli/schema.ts'
import { defineExporter, defineReceiver } from '../../core/component.ts'
import type { SendingConfig } from '../../core/sending.ts'
import { toys } from '../config/toys.ts'

const [otlp] = toys
const nops = [
  defineReceiver({ ...otlp, type: 'nop' } as never),
  defineExporter<SendingConfig>({ ...otlp, type: 'nop' } as never),
]

const found = (name: string) => {
  const one = findComponent(name, [...toys, ...nops])
  return typeof one === 'string' ? one : `${one.kind} ${one.type}`
}

test.each([
  ['a type', 'batch', 'processor batch'],
  ['a type that is also an older name of another', 'otlp', 'receiver otlp'],
  ['an older name', 'otlphttp', 'exporter otlp_http'],
  ['a type with its kind', 'receiver/nop', 'receiver nop'],
  ['a type with its section', 'exporters/nop', 'exporter nop'],
  ['an older name with its kind', 'exporter/otlp', 'exporter otlp_grpc'],
])('%s is found', (_, name, expected) => {
  expect(found(name)).toBe(expected)
})

test.each([
  ['two of a name', 'nop', '`nop` is the name of several components; write `receiver/nop`, `exporter/nop`'],
  ['a misspelt one', 'bacth', 'there is no component `bacth` in this build; did you mean `batch`?'],
  [
    'one of another kind',
    'exporter/batch',
    'there is no component `exporter/batch` in this build; components of this build: `otlp_grpc`',
  ],
])('%s: what to write is told', (_, name, words) => {
  expect(found(name)).toContain(words)
})
