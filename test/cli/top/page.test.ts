import { expect, test } from 'vitest'
import type { Model } from '../../../cli/top/model.ts'
import { pageOf } from '../../../cli/top/page.ts'
import { lookOf, modelOf, now, pipeline } from './documents.ts'

const text = (model: Model, width = 100, height = 24, at = now) =>
  pageOf(model, { width, height }, at).map(line => line.text)
const many = Array.from({ length: 50 }, (_, i) => pipeline(`traces/${i}`))
const need = (n: number) => ({
  what: `thing ${n}`,
  since: new Date(now - 60_000).toISOString(),
  command: `kymo do ${n}`,
})
const sick = { id: 'sick', state: 'RecoverableError', error: `no route to host ${'x'.repeat(300)}` } as const

test('a healthy process says so, with a line for each pipeline and exporter', () => {
  const lines = text(modelOf(lookOf([{ id: 'one', nextAttempt: 5000 }])))
  expect(lines[0]).toBe('kymo 1.2.3 running 3m, 90.0 MiB of 512 MiB, books balance, pid 7')
  expect(lines[1]).toBe('All is well.')
  expect(lines[2]).toMatch(/^ {2}PIPELINE +STATE +IN\/S +OUT\/S +DROPPED +LOST +HELD +WAY$/)
  expect(lines[3]).toMatch(/^> traces +OK +0 +0 +0 +0 +0 +otlp -> batch -> one$/)
  expect(lines[5]).toMatch(/^ {2}one \(traces\) +OK \S+ +0% +5s +0 +0 +0$/)
})

test('what needs somebody stands on top with its command; what does not fit is counted', () => {
  const model = modelOf(lookOf([], [pipeline('traces')], [need(1), need(2), need(3), need(4)]))
  expect(text(model).slice(1, 6)).toEqual([
    '! (60s) thing 1',
    '    kymo do 1',
    '! (60s) thing 2',
    '    kymo do 2',
    '! 2 more: kymo status',
  ])
  expect(text(model, 40, 9)[1]).toBe('! 4 need you: kymo status')
  const one = modelOf(lookOf([], [pipeline('traces')], [need(1)]))
  expect(text(one, 40, 9)[1]).toBe('! kymo do 1 (60s): thing 1')
})

test('what is wrong stands without colours, too', () => {
  const lines = text(modelOf(lookOf([{ id: 'one' }, sick])))
  expect(lines.find(line => line.includes('sick'))).toMatch(/^! sick \(traces\)/)
})

test('the error of the selected row is told in whole, as far as there is room', () => {
  const model = modelOf(lookOf([sick]), { selected: 'exporter sick traces' })
  expect(text(model, 200).join('')).toContain(`sick: ${sick.error}`)
  expect(text(model, 60).join('')).not.toContain(sick.error)
  expect(text(model, 60).at(-2)).toMatch(/x…$/)
})

test.each([0, 1, 24, 49])('of 50 pipelines number %i is to be seen when it is selected', i => {
  for (const height of [9, 14, 23]) {
    const lines = text(modelOf(lookOf([sick], many), { selected: `pipeline traces/${i}` }), 40, height)
    expect(lines.filter(line => line.startsWith('>'))).toEqual([expect.stringMatching(new RegExp(`^> traces/${i} `))])
  }
})

test.each([
  ['sizes', {}],
  ['help', { help: true }],
  ['a command', { said: `kymo tap ${'x'.repeat(500)}` }],
  ['a filter', { typing: true, filter: 'x'.repeat(60) }],
  ['nothing found', { filter: 'x' }],
  ['a process that is away', { trouble: `no Kymo answers: ${'x'.repeat(500)}\nmore` }],
  ['no look yet', { look: undefined }],
  ['no look and no process', { look: undefined, trouble: 'no Kymo answers\nmore' }],
] as const)('%s: the page fits into any terminal', (_, more) => {
  const look = lookOf([sick, { id: 'ä'.repeat(200) }], many, [need(1), need(2), need(3)])
  for (const width of [1, 20, 40, 80, 200])
    for (const height of [1, 2, 5, 9, 10, 23, 60]) {
      const lines = text(modelOf(look, more), width, height)
      expect(lines.length).toBeLessThanOrEqual(height)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
    }
})

test('at 40 by 9 there are rows, and of exporters how full and when next', () => {
  const model = modelOf(lookOf([{ ...sick, queueSize: 90, nextAttempt: 30_000 }]), { selected: 'exporter sick traces' })
  const row = text(model, 40, 9).find(line => line.startsWith('>'))
  expect(row).toMatch(/^> sick \(trace… +90% +30s/)
})

test('of a process that went away there is what was seen last, with its age, and why', () => {
  const away = modelOf(lookOf([{ id: 'one' }]), { trouble: 'no Kymo answers at x: refused\nIs it running?' })
  const lines = text(away, 100, 24, now + 12_400)
  expect(lines[1]).toBe('no answer for 12s, asked again: no Kymo answers at x: refused')
  expect(lines.some(line => line.includes('one (traces)'))).toBe(true)
})
