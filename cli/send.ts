/** `kymo send`: a test item into a pipeline of a Kymo that runs, followed to its destinations. */
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes } from '../service/process.ts'
import type { SendStep } from '../service/send-steps.ts'
import type { SendDocument } from '../service/send.ts'
import { ask, AskError } from './admin-client.ts'
import { printable, span } from './format.ts'
import { orTell } from './or-tell.ts'
import { table } from './table.ts'

/** What is sent, and how long it is followed. */
export interface SendOptions {
  readonly admin: string
  readonly attribute?: readonly string[]
  readonly resource?: readonly string[]
  readonly body?: string
  readonly name?: string
  readonly value?: string
  /** Milliseconds. */
  readonly timeout: number
  readonly json?: boolean
}

/** Milliseconds between two looks. */
const interval = 200

/** Sends, follows, prints, and resolves to the exit code. */
export function send(pipeline: string | undefined, options: SendOptions): Promise<number> {
  const { admin, body, name, value, timeout, json } = options
  return orTell(async () => {
    const attributes = attributesOf('--attribute', options.attribute)
    const resource = attributesOf('--resource', options.resource)
    const until = performance.now() + timeout
    // What our own admin server says; the client has checked that it is one.
    let told = (await ask(admin, '/v1/send', { pipeline, body, name, value, attributes, resource })) as SendDocument
    while (told.end === 'on_its_way' && performance.now() < until) {
      await sleep(Math.max(1, Math.min(interval, until - performance.now())))
      told = (await ask(admin, `/v1/send/${told.test_id}`)) as SendDocument
    }
    process.stdout.write(json === true ? `${JSON.stringify(told, null, 2)}\n` : sendText(told))
    return told.end === 'delivered' ? exitCodes.clean : exitCodes.failed
  })
}

function attributesOf(option: string, texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text): [string, string] => {
      const at = text.indexOf('=')
      if (at < 1) throw new AskError(`${option}: \`${printable(text)}\` is no KEY=VALUE`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

/** All of it: what it is, each component, the final word. */
export function sendText(told: SendDocument): string {
  const { test_id: id, pipeline, steps, batch } = told
  const head = `test item kymo.test.id=${id} went into pipeline ${printable(pipeline)} (${batch.signal}), as batch ${batch.id}\n\n`
  const rows = steps.map(step => [`${step.kind} ${step.component}`, step.pipeline ?? '', stepText(step)])
  return `${head}${table(['COMPONENT', 'PIPELINE', 'WHAT BECAME OF IT'], rows)}\n${lastWord(told)}\n`
}

/** What a component did. */
const stateTexts: Readonly<Record<SendStep['state'], string>> = {
  received: 'received',
  passed: 'passed',
  consumed: 'used up',
  dropped: 'dropped by rule',
  held: 'has it, and has not passed it on yet (a batch does at its size or timeout)',
  taken: 'taken; what it makes of it is not followed',
  queued: 'queued, no answer yet',
  retrying: 'waits to be tried again',
  delivered: 'delivered',
  refused: 'refused, to be sent again',
  rejected: 'rejected',
  dead_lettered: 'put aside as a dead letter',
  lost: 'lost',
  not_reached: 'not reached',
}

/** The same with how long it took, what was tried before, and why. */
function stepText({ state, reason, detail, took_ms: took, failed_attempts: failed = 0 }: SendStep): string {
  const why = [reason, detail].filter(one => one !== undefined && one !== state).join(': ')
  const after = state !== 'delivered' || took === undefined ? '' : ` after ${span(took)}`
  // The attempt that a destination rejected it at is no other one.
  const times =
    failed === 0 || state === 'rejected' ? '' : `, ${failed} ${failed === 1 ? 'attempt' : 'attempts'} failed`
  return `${stateTexts[state]}${after}${times}${why === '' ? '' : `: ${why}`}`
}

function lastWord({ end, steps, batch, error }: SendDocument): string {
  const goesOn = `\`kymo batches ${batch.id}\` goes on from here`
  const by = steps.find(({ state }) => state === end)
  const at = by === undefined ? '' : ` by ${by.kind} ${printable(by.component)}`
  const why = error === undefined ? '' : `: ${printable(error)}`
  switch (end) {
    case 'delivered':
      return steps.some(({ state }) => state === 'taken')
        ? 'every destination has it; what a connector makes of it is not followed'
        : 'every destination has it'
    case 'dropped':
      return `dropped by rule${at}${by?.reason === undefined ? '' : ` (${printable(by.reason)})`}: no fault, the configuration says so`
    case 'consumed':
      return `used up${at}: it makes something else of what it takes`
    case 'refused':
      return `refused${why}; a sender would send it again`
    case 'failed':
      return `not every destination has it${why}; \`kymo batches ${batch.id}\` tells why`
    case 'on_its_way':
      return `on its way: ${goesOn}`
  }
}
