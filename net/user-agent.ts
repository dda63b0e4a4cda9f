import manifest from '../package.json' with { type: 'json' }

/** What Kymo calls itself to servers. */
export const userAgent = `kymo/${manifest.version}`
