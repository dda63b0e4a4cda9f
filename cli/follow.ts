/** Asking again and again for what has come since. */
import { setTimeout as pause } from 'node:timers/promises'
import { exitCodes } from '../service/process.ts'
import { ask } from './admin-client.ts'
import { orTell } from './or-tell.ts'

/** Milliseconds between two questions. */
const askEvery = 1000

/** What is asked for, and how an answer is written. */
export interface Following<D extends { readonly newest: number }> {
  readonly admin: string
  readonly path: string
  readonly query: URLSearchParams
  /** Ask again until nobody reads any more. */
  readonly follow: boolean
  /** `isFirst`: nothing has been written yet. */
  write(answer: D, isFirst: boolean): void
}

/** Asks and writes; resolves to the exit code. */
export function following<D extends { readonly newest: number }>(asked: Following<D>): Promise<number> {
  const { admin, path, query, follow, write } = asked
  const reader = { isGone: false }
  let newest = 0
  process.stdout.on('error', () => (reader.isGone = true))
  return orTell(async () => {
    for (let isFirst = true; !reader.isGone; isFirst = false) {
      // What our own admin server says; the client has checked that it is one.
      const answer = (await ask(admin, `${path}?${query.toString()}`)) as D
      write(answer, isFirst)
      if (!follow) break
      query.delete('since')
      query.set('limit', '1000')
      // One that has started anew has other numbers.
      if (answer.newest < newest || answer.newest === 0) query.delete('after')
      else query.set('after', String(answer.newest))
      newest = answer.newest
      await pause(askEvery)
    }
    return exitCodes.clean
  })
}
