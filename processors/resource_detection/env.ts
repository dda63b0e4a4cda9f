import type { Detector } from './detector.ts'

const pair = /\s*([\x00-\x7f]{1,256}?)\s*=\s*([\x00-\x7f]{0,256}?)\s*(?:,|$)/y

/** What stands in `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, values escaped as in a URL. */
export function envDetector(allowed: readonly string[] | undefined, env: NodeJS.ProcessEnv): Detector {
  return {
    name: 'env',
    detect() {
      const all = env['OTEL_RESOURCE_ATTRIBUTES']?.trim() || env['OTEL_RESOURCE']?.trim() || ''
      const attributes = new Map<string, string>()
      pair.lastIndex = 0
      while (pair.lastIndex < all.length) {
        const at = pair.lastIndex
        const [, key, value] = pair.exec(all) ?? []
        if (key === undefined) {
          throw new Error(`\`OTEL_RESOURCE_ATTRIBUTES\` is no list of \`key=value\` from character ${at + 1} on`)
        }
        if (allowed === undefined || allowed.includes(key)) attributes.set(key, unescape(value, key))
      }
      return { attributes, problem: undefined }
    },
  }
}

function unescape(value: string, key: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '))
  } catch (error) {
    throw new Error(`\`OTEL_RESOURCE_ATTRIBUTES\`: the value of \`${key}\` has a wrong escape`, { cause: error })
  }
}
