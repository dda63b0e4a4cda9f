/**
 * Answers as they are written: texts in which each letter stands for one byte. The system takes them as they are, and what is
 * left of them V8 forgets for nothing; small buffers would stand outside of its heap until it looks for them. What all of a
 * server have in common is made once, and once a second what has the time in it.
 */
import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'

/** What one answer is made of. */
export interface AnswerParts {
  readonly status: number
  /** Media type of the body; none where there is no body. */
  readonly type: string | undefined
  readonly body: Buffer
  /** Further headers, by name and value in turn. */
  readonly headers: readonly string[] | undefined
}

const nothing = Buffer.alloc(0)
/** What no value may have: it would begin another header. */
const unfit = /[^\t\x20-\x7e\x80-\xff]/g

/** The answer before the answer, which asks for the body. */
export const goOn = 'HTTP/1.1 100 Continue\r\n\r\n'

/** Makes the answers of one server. */
export class Answers {
  /** Headers of every answer. */
  readonly #always: string
  readonly #kept: string
  /** The second that `#date` is of. */
  #second = 0
  #date = ''
  /** Answers of success without a body, by media type; of this second. */
  readonly #successes = new Map<string, string>()

  /**
   * `headers`: of every answer, by name and value in turn. `idleTimeout`: milliseconds for which a connection is kept, which
   * its sender is told; 0 for no limit.
   * @throws TypeError when a header cannot be sent
   */
  constructor(headers: readonly string[], idleTimeout: number) {
    for (let i = 0; i < headers.length; i += 2) {
      validateHeaderName(headers[i])
      validateHeaderValue(headers[i], headers[i + 1])
    }
    this.#always = lines(headers)
    const seconds = Math.floor(idleTimeout / 1000)
    this.#kept = `connection: keep-alive\r\n${seconds > 0 ? `keep-alive: timeout=${seconds}\r\n` : ''}`
  }

  /** Success without a body, for a connection that is kept. */
  success(type: string): string {
    this.#look()
    const known = this.#successes.get(type)
    if (known !== undefined) return known
    const made = this.make({ status: 200, type, body: nothing, headers: undefined }, false, true)
    this.#successes.set(type, made)
    return made
  }

  /** Any answer. `isLast`: the connection ends with it. Without `hasBody` only its head, as HEAD asks for it. */
  make({ status, type, body, headers }: AnswerParts, isLast: boolean, hasBody: boolean): string {
    this.#look()
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`
    if (type !== undefined) head += `content-type: ${type}\r\ncontent-length: ${body.length}\r\n`
    if (headers !== undefined) head += lines(headers)
    head += `${this.#always}date: ${this.#date}\r\n${isLast ? 'connection: close\r\n' : this.#kept}\r\n`
    return hasBody ? head + body.toString('latin1') : head
  }

  /** Looks at the clock. */
  #look(): void {
    const second = Math.floor(Date.now() / 1000)
    if (second === this.#second) return
    this.#second = second
    this.#date = new Date(second * 1000).toUTCString()
    this.#successes.clear()
  }
}

function lines(headers: readonly string[]): string {
  let text = ''
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1].replace(unfit, '?')}\r\n`
  return text
}
