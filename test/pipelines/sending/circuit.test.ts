import { expect, test } from 'vitest'
import * as z from 'zod'
import { sending } from '../../../core/sending.ts'
import { Circuit } from '../../../pipelines/sending/circuit.ts'

const retry = { initial_interval: '10ms', multiplier: 2, max_interval: '40ms', randomization_factor: 0 }
const make = (given: object = retry) =>
  new Circuit(z.strictObject(sending()).parse({ retry_on_failure: given }).retry_on_failure)
const fail = (circuit: Circuit, times: number, now = 0) =>
  Array.from({ length: times }, () => circuit.failed(now, undefined))

test('opens at the fifth failure in a row, and says so once', () => {
  const circuit = make()
  expect(fail(circuit, 6)).toEqual([false, false, false, false, true, false])
  expect(circuit.open).toBe(true)
})

test('a success in between starts the count again', () => {
  const circuit = make()
  fail(circuit, 4)
  expect(circuit.succeeded()).toBe(false)
  fail(circuit, 4)
  expect(circuit.open).toBe(false)
})

test('while open it waits for the next probe, at growing intervals; closed it never waits', () => {
  const circuit = make()
  expect(circuit.wait(0)).toBe(0)
  fail(circuit, 5, 1000)
  expect([circuit.wait(1000), circuit.wait(1004), circuit.wait(1010), circuit.wait(5000)]).toEqual([10, 6, 0, 0])
  fail(circuit, 1, 1010)
  expect(circuit.wait(1010)).toBe(20)
  fail(circuit, 2, 1030)
  expect(circuit.wait(1030)).toBe(40)
})

test('the probe waits as long as the destination asked', () => {
  const circuit = make()
  for (let i = 0; i < 5; i++) circuit.failed(0, 700)
  expect(circuit.wait(0)).toBe(700)
})

test('one success closes it, says so, and the next outage starts with short waits', () => {
  const circuit = make()
  fail(circuit, 9, 0)
  expect([circuit.succeeded(), circuit.open, circuit.wait(0)]).toEqual([true, false, 0])
  fail(circuit, 5, 0)
  expect(circuit.wait(0)).toBe(10)
})

test.each([
  ['with the usual waits of 5 to 30 seconds', {}, 5000],
  ['unless a longer one is configured for the first retry', { initial_interval: '8s' }, 8000],
])('probes are at most 5 seconds apart %s', (_, given, longest) => {
  const circuit = make(given)
  for (let failures = 5; failures < 30; failures++) {
    fail(circuit, failures === 5 ? 5 : 1)
    expect(circuit.wait(0)).toBeLessThanOrEqual(longest)
  }
})

test('what may be back is probed at once', () => {
  const circuit = make()
  fail(circuit, 9, 0)
  circuit.hurry(1)
  expect(circuit.wait(1)).toBe(0)
})

test('nothing goes out as long as the destination asked for, whatever succeeds or is hurried meanwhile', () => {
  const circuit = make()
  circuit.failed(0, 4000, true)
  circuit.failed(0, 1000, true)
  circuit.succeeded()
  circuit.hurry(10)
  expect([circuit.open, circuit.wait(1000), circuit.wait(3999), circuit.wait(4000)]).toEqual([false, 3000, 1, 0])
})
