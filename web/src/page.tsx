import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { useState } from "react";
import { AccessBar } from "./access";
import { type Access, createFetcher } from "./fetcher";
import { headersText, readHeaders } from "./headers";
import { pageStorage, storedKey } from "./session";
import { defaultTabs } from "./tabs";

const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];
const defaultHeaders = headersText(storedKey());

export function Page() {
  const [access, setAccess] = useState<Access>(storedKey() === null ? "missing" : "accepted");
  // Lives as long as the page: a new fetcher would make GraphiQL ask for the schema again.
  const [{ fetcher, onEditHeaders }] = useState(() => {
    let text = defaultHeaders;
    return {
      fetcher: createFetcher({ headers: () => readHeaders(text), onAccess: setAccess }),
      onEditHeaders: (edited: string) => {
        text = edited;
      },
    };
  });

  return (
    <>
      {access !== "accepted" && <AccessBar access={access} />}
      <GraphiQL
        fetcher={fetcher}
        defaultTabs={defaultTabs}
        defaultHeaders={defaultHeaders}
        onEditHeaders={onEditHeaders}
        shouldPersistHeaders={false}
        defaultEditorToolsVisibility="variables" // not the headers: the key need not be on every screen share
        storage={pageStorage}
        plugins={plugins}
        inputValueDeprecation
        schemaDescription
      >
        <GraphiQL.Logo>
          <span className="sluicegate-logo">Sluicegate</span>
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}
