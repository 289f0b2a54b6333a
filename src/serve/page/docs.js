// Reads /openapi.json and sets it as a page.

import { call } from './api.js';
import { h, problem } from './dom.js';
import { t, translate } from './text.js';

const main = document.getElementById('main');
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

async function begin() {
  try {
    const api = await call('/openapi.json', { open: true });
    main.replaceChildren(...page(api));
  } catch (error) {
    main.replaceChildren(problem(error, begin));
  }
}

function page({ info = {}, paths = {}, components = {} }) {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, shared: methods.parameters ?? [], ...methods[method] })));
  const groups = Map.groupBy(operations, ({ tags, path }) => tags?.[0] ?? path.split('/').find((part) => part && part !== 'api') ?? '/');
  return [
    h('h1', {}, `${info.title ?? 'API'} ${info.version ?? ''}`), prose(info.description),
    h('nav', { 'aria-label': t('operations') }, h('ul', {}, [...groups.keys()].map((name) => h('li', {}, h('a', { href: `#${name}` }, name))))),
    ...[...groups].map(([name, each]) => h('section', { id: name }, h('h2', {}, name), each.map((operation) => described(operation, components)))),
    h('section', { id: 'schemas' }, h('h2', {}, t('schemas')), Object.entries(components.schemas ?? {}).map(([name, schema]) =>
      h('article', { id: `schema-${name}` }, h('h3', {}, name), prose(schema.description), shape(schema)))),
  ];
}

function described({ path, method, summary, description, shared, parameters = [], requestBody, responses = {} }, components) {
  const all = [...shared, ...parameters].map((parameter) => resolved(parameter, components));
  const body = resolved(requestBody, components);
  return h('article', {},
    h('h3', {}, h('code', { class: `method ${method}` }, method.toUpperCase()), ' ', h('code', {}, path)),
    prose(summary), prose(description),
    all.length ? [h('h4', {}, t('parameters')), h('dl', {}, all.map(parameterLine))] : null,
    body ? [h('h4', {}, t('body')), contents(body)] : null,
    h('h4', {}, t('responses')),
    h('dl', {}, Object.entries(responses).map(([status, response]) => {
      const { description: meaning, content } = resolved(response, components);
      return [h('dt', {}, h('code', {}, status)), h('dd', {}, meaning ?? '', content ? contents({ content }) : null)];
    })));
}

function parameterLine({ name, in: place, required, description, schema }) {
  return [
    h('dt', {}, h('code', {}, name), ' ', h('small', {}, `${place}${required ? `, ${t('required')}` : ''}`)),
    h('dd', {}, schema ? shape(schema) : null, description ? ` ${description}` : ''),
  ];
}

function contents({ content = {} }) {
  return h('div', {}, Object.entries(content).map(([type, { schema }]) =>
    h('div', {}, h('small', {}, type), ' ', schema ? shape(schema) : null)));
}

/** A schema as an outline; named ones are linked, so that a schema within itself ends. */
function shape(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1);
    return h('a', { href: `#schema-${name}` }, h('code', {}, name));
  }
  const several = schema.allOf ?? schema.oneOf ?? schema.anyOf;
  if (several) return h('span', {}, several.flatMap((each, at) => (at ? [schema.allOf ? ' + ' : ' | ', shape(each)] : [shape(each)])));
  if (schema.properties) {
    return h('dl', { class: 'shape' }, Object.entries(schema.properties).map(([name, each]) => [
      h('dt', {}, h('code', {}, name), schema.required?.includes(name) ? h('small', {}, ` ${t('required')}`) : null),
      h('dd', {}, shape(each), each.description ? ` ${each.description}` : ''),
    ]));
  }
  if (schema.items) return h('span', {}, '[ ', shape(schema.items), ' ]');
  const choices = schema.enum?.map((each) => JSON.stringify(each)).join(' | ');
  return h('code', {}, choices ?? [schema.type ?? 'any'].flat().join(' | '), schema.format ? ` (${schema.format})` : '');
}

function resolved(part, components) {
  if (!part?.$ref) return part;
  const [kind, name] = part.$ref.split('/').slice(-2);
  return components[kind]?.[name] ?? {};
}

function prose(text) {
  return text ? h('p', {}, text) : null;
}

translate(document);
begin();
