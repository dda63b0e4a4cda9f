/** Preloaded (`--import`): notes which module asks for which, and writes it to the file `LOADED` when the process ends. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const asked: { readonly what: string; readonly by: string }[] = []
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    asked.push({ what: found.url, by: context.parentURL ?? '' })
    return found
  },
})
process.on('exit', () => writeFileSync(process.env['LOADED'] ?? '', JSON.stringify(asked)))
