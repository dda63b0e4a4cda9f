/** `kymo retry`: has an exporter try now what waits, and prints what the destination says. */
import { exitCodes } from '../service/process.ts'
import type { RetryDocument } from '../service/retry.ts'
import { ask } from './admin-client.ts'
import { printable } from './format.ts'
import { orTell } from './or-tell.ts'

/** Whom to ask, and how long an answer is waited for. */
export interface RetryOptions {
  readonly admin: string
  readonly signal?: string | undefined
  readonly timeout?: string | undefined
  readonly json?: boolean | undefined
}

/** Prints what came of it; resolves to the exit code. */
export function retry(exporter: string, options: RetryOptions): Promise<number> {
  const { admin, signal, timeout, json = false } = options
  const words = { exporter, ...(signal !== undefined && { signal }), ...(timeout !== undefined && { timeout }) }
  return orTell(async () => {
    const answer = (await ask(admin, '/v1/retry', words)) as { readonly retried: readonly RetryDocument[] }
    process.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : answer.retried.map(retryText).join(''))
    const isWell = answer.retried.every(({ outcome }) => outcome === 'taken' || outcome === 'nothing_waits')
    return isWell ? exitCodes.clean : exitCodes.failed
  })
}

/** A line for one signal, and what comes next. */
export function retryText(document: RetryDocument): string {
  const { exporter, signal, outcome, items = 0, took_ms = 0, error = '', code = '' } = document
  const name = `${printable(exporter)} (${signal})`
  const asked = document.asked_to_wait_seconds
  const had = asked === undefined ? '' : `; the destination had asked to be left alone for ${asked} s more`
  const tried = `${items} ${items === 1 ? 'item' : 'items'}`
  switch (outcome) {
    case 'nothing_waits':
      return `${name}: nothing waits; \`kymo check --connect --running ${printable(exporter)}\` tries the destination without data\n`
    case 'no_answer':
      return `${name}: no answer yet; \`kymo batches --component ${printable(exporter)}\` tells what comes of it\n`
    case 'taken':
      return `${name}: the destination took ${tried} in ${took_ms} ms${had}${restText(document)}\n`
    case 'failed':
      return `${name}: failed after ${took_ms} ms, ${tried}: ${printable(error)} (${code})${had}${restText(document)}\n`
  }
}

function restText({ queue, next_attempt_in_seconds: seconds }: RetryDocument): string {
  if (seconds === null) return ''
  const next = seconds === 0 ? 'the rest goes on' : `the next attempt is in ${Math.ceil(seconds)} s`
  return queue > 0 ? `; ${next}` : ''
}
