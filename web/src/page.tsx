import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect, useState } from "react";
import { AccessBar } from "./access";
import { type Access, createFetcher } from "./fetcher";
import { headersText, readHeaders } from "./headers";
import { pageStorage, storedKey } from "./session";
import { defaultTabs } from "./tabs";

const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];
const defaultHeaders = headersText(storedKey());

/** GraphiQL asks the system for dark or light only once; this follows when the system changes. */
function FollowSystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    if (theme !== null) return undefined;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(null);
    dark.addEventListener("change", follow);
    return () => dark.removeEventListener("change", follow);
  }, [theme, setTheme]);
  return null;
}

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
          <FollowSystemTheme />
          <span className="sluicegate-logo">Sluicegate</span>
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}
