import * as z from 'zod'
import { defineReceiver } from '../../core/component.ts'
import { Mark, type PositionStore } from '../../core/mark.ts'
import { reading } from '../../receivers/reading.ts'

/** A log of records, and where its reader keeps how far it is. */
export interface ToyLog extends PositionStore {
  readonly name: string
  /** The record at a place, once there is one. */
  at(place: number, abort: AbortSignal): Promise<Buffer>
  get(key: string): Buffer | undefined
}

/** Reads log records, and moves on only behind what is safe. */
export const logSource = (log: ToyLog) =>
  defineReceiver({
    type: 'toy_log',
    stability: 'development',
    summary: 'Reads a log.',
    signals: ['logs'],
    origin: 'source',
    config: z.strictObject({}),
    examples: [],
    create: (_, context) =>
      reading(context, async (abort, fail) => {
        const terms = { store: log, key: log.name, encode: (place: number) => Buffer.from(`${place}`), onAgain: fail }
        const mark = new Mark(Number(log.get(log.name) ?? 0), { ...terms, onFailure: fail })
        const origin = context.origin({ transport: 'log', peer: log.name })
        for (let place = mark.position; ; place++) {
          const body = await log.at(place, abort)
          const room = await context.rooms.room(body.length, abort)
          room.take({ signal: 'logs', body, origin }, { answered() {}, ended: mark.begin(place + 1, 1) })
        }
      }),
  })
