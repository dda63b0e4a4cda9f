import type { Detector } from './detector.ts'

/** What stands in `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, values escaped as in a URL. */
export function envDetector(allowed: readonly string[] | undefined, env: NodeJS.ProcessEnv): Detector {
  return {
    name: 'env',
    detect() {
      const all = env['OTEL_RESOURCE_ATTRIBUTES']?.trim() || env['OTEL_RESOURCE']?.trim() || ''
      const attributes = new Map<string, string>()
      // A comma at the end is no harm.
      for (const pair of all.replace(/,$/, '').split(',')) {
        if (all === '') break
        const at = pair.indexOf('=')
        const key = pair.slice(0, Math.max(at, 0)).trim()
        if (key === '') throw new Error(`\`OTEL_RESOURCE_ATTRIBUTES\`: \`${pair}\` is not of the form \`key=value\``)
        if (allowed === undefined || allowed.includes(key))
          attributes.set(key, unescape(pair.slice(at + 1).trim(), key))
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
