import type { RefusalKind } from '../refusal.ts'

/** What is wrong with a request as HTTP. Its connection ends with the answer: nobody can tell where the next one begins. */
export interface Fault {
  readonly status: number
  readonly message: string
}

/** What a fault is counted as. */
export function kindOf(status: number): RefusalKind {
  if (status === 400) return 'malformed'
  if (status === 408) return 'slow'
  if (status === 413 || status === 431) return 'too_large'
  return status === 503 ? 'memory' : 'unserved'
}

/** A fault. */
export const fault = (status: number, message: string): Fault => ({ status, message })
