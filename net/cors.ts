/** Cross-origin requests of web pages (fetch.spec.whatwg.org, "CORS protocol"). */
import { type Pattern, wildcardPattern } from '../proto/pattern.ts'

/** Settings of CORS, with the Collector's names. */
export interface CorsConfig {
  readonly allowed_origins: readonly string[]
  readonly allowed_headers: readonly string[]
  readonly exposed_headers: readonly string[]
  readonly max_age: number
}

/** Decides which pages may send. */
export class Cors {
  readonly #origins: readonly Pattern[]
  readonly #config: CorsConfig

  constructor(config: CorsConfig) {
    this.#config = config
    this.#origins = config.allowed_origins.map(origin => wildcardPattern(origin, { '*': '.*' }, 'i'))
  }

  /** Headers of an answer to `origin`, by name and value in turn; none when it may not read it. */
  answer(origin: string | undefined): string[] {
    if (!this.#allows(origin)) return ['vary', 'origin']
    const headers = [
      'vary',
      'origin',
      'access-control-allow-origin',
      origin,
      'access-control-allow-credentials',
      'true',
    ]
    const { exposed_headers: exposed } = this.#config
    if (exposed.length > 0) headers.push('access-control-expose-headers', exposed.join(', '))
    return headers
  }

  /** Headers of the answer to a preflight request that asks to use `wanted`. */
  preflight(origin: string | undefined, wanted: string | undefined): string[] {
    if (!this.#allows(origin)) return ['vary', 'origin']
    const { allowed_headers: allowed, max_age: maxAge } = this.#config
    const headers = [...this.answer(origin), 'access-control-allow-methods', 'POST']
    // With credentials a literal `*` would mean nothing, so what is asked for is named.
    const names = allowed.includes('*') ? wanted : ['accept', 'content-type', 'x-requested-with', ...allowed].join(', ')
    if (names) headers.push('access-control-allow-headers', names)
    if (maxAge > 0) headers.push('access-control-max-age', String(maxAge))
    return headers
  }

  #allows(origin: string | undefined): origin is string {
    return origin !== undefined && this.#origins.some(pattern => pattern.matches(origin))
  }
}
