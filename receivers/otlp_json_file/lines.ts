/** Lines of files as requests: which signal they are of, what is told of those that are passed over. */
import type { Context } from '../../core/context.ts'
import type { ReceiverContext } from '../../core/component.ts'
import type { Answer, Listener } from '../../core/delivery.ts'
import type { Room } from '../../core/room.ts'
import type { Signal } from '../../proto/signals.ts'

/** Every malformed line is counted; of a file the first few are told, then fewer and fewer. */
const toldAtFirst = 5

const firstKey = /^\s*\{\s*"resource_?(spans|metrics|logs)"/i
const signalOfKey: Readonly<Record<string, Signal>> = { spans: 'traces', metrics: 'metrics', logs: 'logs' }

/** Where a line stands. */
export interface LinePlace {
  readonly file: string
  readonly line: number
}

/** See above. */
export class Lines {
  /** Lines that are passed over, by reason. */
  readonly refusals = { malformed: 0, too_large: 0 }
  readonly #context: ReceiverContext
  readonly #origin: Context
  readonly #told = new Map<string, number>()

  constructor(context: ReceiverContext) {
    this.#context = context
    this.#origin = context.origin({ transport: 'file', peer: undefined })
  }

  /** As what a line is to be handed in: what its first key says, or else each signal that some pipeline takes. */
  signalsOf(text: Buffer): readonly Signal[] {
    const key = firstKey.exec(text.toString('latin1', 0, 256))?.[1]?.toLowerCase()
    const said = key === undefined ? undefined : signalOfKey[key]
    const { signals } = this.#context
    return said === undefined ? [...signals] : signals.has(said) ? [said] : []
  }

  /** Hands a line in. */
  take(room: Room, text: Buffer, signal: Signal, by: Listener): void {
    room.take({ signal, body: text, format: 'json', origin: this.#origin }, by)
  }

  /** Tells what became of a line, where that is worth a word; whether it is dealt with. */
  tell(answer: Answer, { file, line }: LinePlace): boolean {
    const { log } = this.#context
    switch (answer.kind) {
      case 'success':
        return true
      case 'malformed':
        this.refuse('malformed', { file, line }, answer.message)
        return true
      case 'rejected':
        log.warn({ file, line, error: answer.reason }, 'a line was rejected by its destination')
        return true
      case 'partial': {
        const { rejected, reason } = answer
        log.warn({ file, line, rejected, error: reason }, 'a line was rejected in part by its destination')
        return true
      }
      case 'refused':
        return false
    }
  }

  /** Counts a line that is passed over. */
  refuse(reason: keyof Lines['refusals'], { file, line }: LinePlace, message: string): void {
    this.refusals[reason]++
    const told = (this.#told.get(file) ?? 0) + 1
    this.#told.set(file, told)
    if (told > toldAtFirst && !Number.isInteger(Math.log10(told))) return
    this.#context.log.warn({ file, line, error: message, soFar: told }, `${file}:${line} is passed over`)
  }
}
