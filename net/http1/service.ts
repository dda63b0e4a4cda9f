/** What a connection knows of the server it belongs to, and of the requests it carries. */
import type { Logger } from '../../core/logger.ts'
import type { Turns } from '../../core/turns.ts'
import type { Admission } from '../admission.ts'
import type { Refusal } from '../refusal.ts'
import type { Answers } from './answers.ts'
import type { ChunkSink } from './chunks.ts'
import type { Fault } from './fault.ts'
import type { Answered } from './outlet.ts'

/** One request whose body is wanted, as its connection sees it. */
export interface Exchange extends ChunkSink, Answered {
  /** The body has come whole. */
  completed(): void
  /** What comes is no body. */
  malformed(fault: Fault): void
  /** The body cannot be had. */
  refused(refusal: Refusal): void
  /** The sender is gone. */
  gone(): void
}

/** Whom a connection belongs to. */
export interface HttpService {
  readonly admission: Admission
  readonly answers: Answers
  readonly turns: Turns
  readonly log: Logger
  /** Milliseconds for a head, from its first byte; Infinity for no limit. */
  readonly headTimeout: number
  /** Milliseconds between requests; Infinity for no limit. */
  readonly idleTimeout: number
  /** Connections end with their next answer. */
  readonly isLast: boolean
}
